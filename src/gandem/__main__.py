"""Run the command line as `python -m gandem`; torchrun starts its processes this way."""

import sys

from gandem.cli import main

if __name__ == "__main__":
    sys.exit(main())
