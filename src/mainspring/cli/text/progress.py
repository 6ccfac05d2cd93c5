"""Progress of a change of many jobs: a line on standard error every few seconds, for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mainspring.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PIECE = 2_000
"""Jobs between two looks at the time; what changes them writes smaller batches."""

SILENT_SECONDS = 2.0


def in_pieces(ids: Sequence[str], verb: str) -> Iterator[Sequence[str]]:
    """Cut ids into pieces, and tell how far it is; the caller changes each before the next."""
    told = monotonic()
    for start in range(0, len(ids), PIECE):
        if monotonic() - told > SILENT_SECONDS:
            told = monotonic()
            sys.stderr.write(f"{verb}: {start:,} of {len(ids):,} jobs so far\n")
            sys.stderr.flush()
        yield ids[start : start + PIECE]
