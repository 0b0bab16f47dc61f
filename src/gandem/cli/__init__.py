"""The commands: parse, call the API, print. `--help` and `--version` answer without importing torch.

Exit codes: 0 done; 1 a bug in gandem; 2 something the caller can mend, said in one line; 130 and 143 stopped by
SIGINT and SIGTERM after a checkpoint.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gandem.cli import training, using  # noqa: F401  (their commands are the application's)
from gandem.cli.app import app
from gandem.exit_codes import explain
from gandem.launch import Relaunch, relaunch


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command (default: the arguments of this process) and return its exit code."""
    tokens = list(sys.argv[1:] if argv is None else argv)
    try:
        app(tokens)
        return 0
    except Relaunch as request:
        return relaunch(tokens, request.devices)
    except (Exception, KeyboardInterrupt) as error:
        return explain(error)
