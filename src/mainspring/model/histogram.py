"""Histograms of durations in logarithmic buckets, which can be added up."""

from __future__ import annotations

import math
from bisect import bisect, bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

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


def quantiles(counts: Mapping[int, int], fractions: Sequence[float]) -> list[float]:
    """Return for each fraction the seconds that so many of the counted are not above.

    `counts` are by bucket; the fractions rise. Of nothing that was counted: an empty list.
    """
    total, passed = sum(counts.values()), 0
    found: list[float] = []
    for bucket, count in sorted(counts.items()):
        while len(found) < len(fractions) and fractions[len(found)] * total <= passed + count:
            inside = (fractions[len(found)] * total - passed) / count
            step = bucket - 1 + inside
            found.append(math.pow(2.0, FIRST_OCTAVE + step / PER_OCTAVE))
        passed += count
    return found
