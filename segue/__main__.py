"""`python -m segue`: the same as the `segue` command."""

import sys

from segue.server.cli import main

if __name__ == "__main__":
    sys.exit(main())
