"""Histograms of durations in logarithmic buckets, which can be added up."""

from __future__ import annotations

import math
from bisect import bisect, bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

PER_OCTAVE = 4
"""Buckets from a duration to its double: a quantile is within a tenth of the true one."""

FIRST_OCTAVE, LAST_OCTAVE = -14, 22
"""The first bucket ends at 61 microseconds, the last one begins at seven weeks."""

BOUNDS = [
    2.0 ** (FIRST_OCTAVE + step / PER_OCTAVE)
    for step in range(PER_OCTAVE * (LAST_OCTAVE - FIRST_OCTAVE) + 1)
]
BUCKETS = len(BOUNDS) + 1


def count_into(counts: MutableMapping[int, int], durations: list[float]) -> None:
    """Count durations in seconds by bucket; the list comes back sorted.

    What lies in one bucket lies together then, and is counted at once: a job costs half as much as
    when each is looked up.
    """
    durations.sort()
    begin, count = 0, len(durations)
    while begin < count:
        bucket = bisect_left(BOUNDS, durations[begin])
        end = bisect(durations, BOUNDS[bucket], begin) if bucket < len(BOUNDS) else count
        counts[bucket] += end - begin
        begin = end


def quantile(counts: Mapping[int, int], fraction: float) -> float | None:
    """Return the duration in seconds that so many of the counted are not above; None of none.

    `counts` are by bucket.
    """
    rank = fraction * sum(counts.values())
    for bucket, count in sorted(counts.items()):
        if rank <= count:
            step = bucket - 1 + rank / count
            return math.pow(2.0, FIRST_OCTAVE + step / PER_OCTAVE)
        rank -= count
    return None
