"""``python -m kubeshim`` is the ``kubeshim`` command."""

import sys

from kubeshim.cli import main

if __name__ == "__main__":
    sys.exit(main.main())
