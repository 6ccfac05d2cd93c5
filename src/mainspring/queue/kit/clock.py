"""The clock of a test: it begins at the time that the test sees, and moves when it is told to."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from mainspring.clock import WALL_AT_ZERO, monotonic
from mainspring.model.duration import seconds_of
from mainspring.stores.clock import MICROS, as_micros

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

FIRST_MONOTONIC = 1000.0

FAKED_SECONDS = 5.0
"""A wall clock that is off by more is one that a test has set, as by freezegun or time-machine."""


class MovedClock:
    """Both clocks of a store: they begin at `start`, or now if that is None.

    Where a test has set the time of the process, they follow that, too, unless they have a `start`.
    It counts whole microseconds, as stores do, so that nothing is due one of them too late.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self._start = self._seen() if start is None else as_micros(start)
        self._moved = 0
        is_faked = abs(time.time() - (WALL_AT_ZERO + monotonic())) > FAKED_SECONDS
        self._follows = start is None and is_faked

    @property
    def micros(self) -> int:
        """The microseconds since the epoch."""
        return (self._seen() if self._follows else self._start) + self._moved

    def now(self) -> float:
        """Return the seconds since the epoch."""
        return (self.micros + 0.5) / MICROS  # which no store rounds down to the one before

    def monotonic(self) -> float:
        """Return the clock that outcomes are measured by, in seconds."""
        return (self.micros - self._start) / MICROS + FIRST_MONOTONIC

    def advance(self, seconds: float) -> None:
        """Let time go by: up to the next microsecond."""
        self._moved += math.ceil(round(seconds * MICROS, 3))

    def advance_to(self, micros: int) -> None:
        """Let time go by until then; none if that is over."""
        self._moved += max(0, micros - self.micros)

    def _seen(self) -> int:
        return int(time.time() * MICROS)


def seconds_in(
    owner: str, duration: float | timedelta | None, words: Mapping[str, object]
) -> float:
    """Return the seconds of a duration and of what is added in words; raises InvalidOption."""
    parts = {name: seconds_of(owner, name, value) for name, value in words.items()}
    first = 0.0 if duration is None else seconds_of(owner, "duration", duration)
    return first + timedelta(**parts).total_seconds()
