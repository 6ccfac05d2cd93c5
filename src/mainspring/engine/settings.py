"""The options of a consumer, checked once."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from mainspring.errors import InvalidOption
from mainspring.model.duration import seconds_of
from mainspring.model.number import is_number, is_whole
from mainspring.model.value import Value

if TYPE_CHECKING:
    from datetime import timedelta

_OWNER = "Queue"
MOST_SLOTS = 100_000


class WorkerSettings(Value, frozen=True):
    """`workers`, `async_slots`: attempts at once; `grace`, `lease`, `heartbeat`: seconds.

    `keep_completed` (cancelled jobs, too) and `keep_failed` say after how many seconds final jobs
    are purged. A child process is replaced after `max_tasks_per_child` jobs, or once more than
    `max_memory_per_child` bytes are resident after one; None: never.
    """

    workers: int
    async_slots: int = 100
    grace: float = 30.0
    lease: float = 15.0
    heartbeat: float = 5.0
    keep_completed: float | timedelta = 86_400.0
    keep_failed: float | timedelta = 30 * 86_400.0
    max_tasks_per_child: int | None = None
    max_memory_per_child: int | None = None

    def __post_init__(self) -> None:
        _check_count("workers", self.workers)
        _check_count("async_slots", self.async_slots)
        _check_seconds("grace", self.grace, least=0)
        _check_seconds("lease", self.lease, least=0.2)
        _check_seconds("heartbeat", self.heartbeat, least=0.05)
        for option in ("keep_completed", "keep_failed"):
            seconds_of(_OWNER, option, getattr(self, option))
        for option in ("max_tasks_per_child", "max_memory_per_child"):
            _check_limit(option, getattr(self, option))
        if self.heartbeat * 2 > self.lease:
            expected = f"at most half the lease of {self.lease:g} s"
            raise InvalidOption("heartbeat", self.heartbeat, owner=_OWNER, expected=expected)


def slots_of(workers: int) -> int:
    """Return the slots that `workers=` says: 0 is the number of CPUs."""
    # Compared, not asked whether it is empty: an empty text is a slip, and is refused as one.
    return os.cpu_count() or 1 if workers == 0 else workers


def _check_count(option: str, value: object) -> None:
    if not (is_whole(value) and 1 <= value <= MOST_SLOTS):
        expected = f"a whole number from 1 to {MOST_SLOTS} (0 workers: the number of CPUs)"
        raise InvalidOption(option, value, owner=_OWNER, expected=expected)


def _check_limit(option: str, value: object) -> None:
    if value is not None and not (is_whole(value) and value > 0):
        expected = "a whole number above 0, or None for no limit"
        raise InvalidOption(option, value, owner=_OWNER, expected=expected)


def _check_seconds(option: str, value: object, *, least: float) -> None:
    if not (is_number(value) and least <= value < math.inf):
        raise InvalidOption(option, value, owner=_OWNER, expected=f"seconds, at least {least:g}")
