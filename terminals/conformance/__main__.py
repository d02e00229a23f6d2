"""`python -m terminals.conformance`."""

import sys

from terminals.conformance.cli import main

if __name__ == "__main__":
    sys.exit(main())
