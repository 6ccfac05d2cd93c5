"""`python -m mainspring`: the same as the command `mainspring`."""

from __future__ import annotations

import sys

from mainspring.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
