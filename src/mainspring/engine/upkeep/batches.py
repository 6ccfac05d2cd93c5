"""Sizes of batches, so that each holds the store for about ten milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from mainspring.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

AIM_SECONDS = 0.01
"""Seconds that a claim may have to wait for one batch."""

FIRST, LEAST, MOST = 50, 25, 500
"""Rows of a batch. Below the least, what each commit costs would outweigh its rows."""


def batch_sizes(clock: Callable[[], float] = monotonic) -> Iterator[int]:
    """Yield sizes without end; each by the time that passed since the one before."""
    size = FIRST
    while True:
        began = clock()
        yield size
        size = following(size, clock() - began)


def following(size: int, took: float) -> int:
    """Return the size that would have taken the time aimed at; it doubles at most."""
    fitting = int(size * AIM_SECONDS / took) if took > 0 else MOST
    return max(LEAST, min(MOST, 2 * size, fitting))


def in_batches(items: Sequence[T], clock: Callable[[], float] = monotonic) -> Iterator[Sequence[T]]:
    """Cut items into batches; the caller writes each one before it takes the next."""
    start = 0
    for size in batch_sizes(clock):
        if start >= len(items):
            return
        yield items[start : start + size]
        start += size
