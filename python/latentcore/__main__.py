"""``python -m latentcore``: the command line."""

import sys

from latentcore.cli import main

if __name__ == "__main__":  # not in the processes that a cluster of this machine starts
    sys.exit(main())
