"""``python -m latentcore``: the command line."""

import sys

from latentcore.cli import main

sys.exit(main())
