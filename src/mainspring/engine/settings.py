"""How a consumer is to run, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mainspring.errors import InvalidOption

_OWNER = "Queue"


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """`workers`, `async_slots`: attempts at once; all others are seconds.

    `keep_completed` (cancelled jobs, too) and `keep_failed` say when final jobs are purged.
    """

    workers: int
    async_slots: int = 100
    grace: float = 30.0
    lease: float = 15.0
    heartbeat: float = 5.0
    keep_completed: float = 86_400.0
    keep_failed: float = 30 * 86_400.0

    def __post_init__(self) -> None:
        _check_count("workers", self.workers)
        _check_count("async_slots", self.async_slots)
        _check_seconds("grace", self.grace, least=0)
        _check_seconds("lease", self.lease, least=0.2)
        _check_seconds("heartbeat", self.heartbeat, least=0.05)
        _check_seconds("keep_completed", self.keep_completed, least=0)
        _check_seconds("keep_failed", self.keep_failed, least=0)
        if self.heartbeat * 2 > self.lease:
            expected = f"at most half the lease of {self.lease:g} s"
            raise InvalidOption("heartbeat", self.heartbeat, owner=_OWNER, expected=expected)


def _check_count(option: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 100_000:  # noqa: PLR2004  # the sentence below names it
        expected = "a whole number from 1 to 100000 (0 workers: the number of CPUs)"
        raise InvalidOption(option, value, owner=_OWNER, expected=expected)


def _check_seconds(option: str, value: object, *, least: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not least <= float(str(value)) < math.inf:
        raise InvalidOption(option, value, owner=_OWNER, expected=f"seconds, at least {least:g}")
