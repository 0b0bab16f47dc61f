"""Run the command line as `python -m gandem`; parallel processes are started this way."""

import os
import sys

from gandem.cli import main

if __name__ == "__main__":
    code = main()
    if "RANK" in os.environ:  # gloo sometimes aborts while the interpreter ends, long after the work is done
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
