"""Priorities of calls in the thread pool, and the number of threads that each may use. Pure."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from mainspring.errors import InvalidOption
from mainspring.model.number import is_whole

TASK_CRITICAL = 0
TASK_HIGH = 50
TASK_NORMAL = 100
TASK_LOW = 200

NAMES = {
    TASK_CRITICAL: "critical",
    TASK_HIGH: "high",
    TASK_NORMAL: "normal",
    TASK_LOW: "low",
}


def level(priority: int) -> int:
    """Return the level that a priority belongs to: the first that is no more urgent."""
    return next((one for one in NAMES if priority <= one), TASK_LOW)


def check_priority(owner: str, priority: object) -> None:
    """Raise `InvalidOption` for one that can't be sorted among others, in the name of `owner`."""
    if not is_whole(priority):
        raise InvalidOption("priority", priority, owner=owner, expected="a whole number")


@dataclass(frozen=True, slots=True)
class PoolSizes:
    """The number of calls that run at once.

    Low priority uses `size`, normal also `reserve_normal`, high both reserves; critical calls
    start at once whatever is busy. A `size` of 0 is no limit. `keep` idle threads are kept, the
    others end after a while.
    """

    size: int
    reserve_normal: int = 0
    reserve_high: int = 0
    keep: int = 0

    @property
    def total(self) -> int:
        """The number of calls at once, critical ones aside."""
        return self.size + self.reserve_normal + self.reserve_high

    def limit(self, priority: int) -> float:
        """Return how many calls may run for one of this priority to start besides them."""
        if priority <= TASK_CRITICAL or not self.size:
            return float("inf")
        if priority <= TASK_HIGH:
            return self.total
        return self.size + (self.reserve_normal if priority <= TASK_NORMAL else 0)


def pool_sizes(
    *,
    pool_size: int | None = None,
    reserve_normal: int = 0,
    reserve_high: int = 0,
    min_size: int | Literal["max"] | None = None,
    max_size: int | None = None,
) -> PoolSizes:
    """Work out the sizes from the options of the reference pages.

    Without `pool_size` it is what `max_size` (five times the CPUs unless given) leaves beside the
    reserves; 0 is no limit. Raises `InvalidOption`, also for a `max_size` below the sum of the
    others.
    """
    owner = "set_thread_pool"
    for option, value in (("reserve_normal", reserve_normal), ("reserve_high", reserve_high)):
        if not is_whole(value) or value < 0:
            raise InvalidOption(option, value, owner=owner, expected="0 or more")
    if max_size is not None and not is_whole(max_size):
        raise InvalidOption("max_size", max_size, owner=owner, expected="a whole number, or None")
    most = (os.cpu_count() or 1) * 5 if max_size is None else max_size
    size = max(most - reserve_normal - reserve_high, 1) if pool_size is None else pool_size
    if not is_whole(size) or size < 0:
        raise InvalidOption("pool_size", size, owner=owner, expected="1 or more, or 0 for no limit")
    total = size + reserve_normal + reserve_high
    if max_size is not None and max_size < total:
        raise InvalidOption(
            "max_size", max_size, owner=owner, expected=f"at least pool_size + reserves ({total})"
        )
    keep = _keep(min_size, most=total if max_size is None else max_size)
    return PoolSizes(size, reserve_normal, reserve_high, keep)


def _keep(min_size: int | Literal["max"] | None, *, most: int) -> int:
    if min_size == "max":
        return most
    if min_size is None:
        return 0
    if not is_whole(min_size) or min_size < 0 or (most and min_size > most):
        expected = f"0 to max_size ({most}), or 'max'"
        raise InvalidOption("min_size", min_size, owner="set_thread_pool", expected=expected)
    return min_size
