"""Compare mainspring with the floor and its rivals: `python benchmarks/queue.py --quick`.

Every contender runs in turn, each run in processes of its own, over and over; medians are printed
with their ratios. Nothing is asserted. Rivals are installed into a cache folder outside this
project. `--quick` takes about three minutes, the full comparison half an hour.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Python puts this folder first, where this file would hide the standard library's queue.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.comparison import main  # noqa: E402  # only found after the line above

if __name__ == "__main__":
    sys.exit(main())
