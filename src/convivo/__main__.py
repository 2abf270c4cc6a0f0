"""`python -m convivo` is `convivo`."""

import sys

from convivo.cli import main

if __name__ == "__main__":
    sys.exit(main())
