"""The clocks of the package: those of the system, though a test may have frozen `time.time`.

freezegun replaces the functions of `time` in every loaded module, time-machine what they do. Our
own deadlines, leases and stored moments go on: a worker beside a frozen clock keeps its lease, and
what is delayed runs.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

monotonic: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_MONOTONIC)
"""Seconds of the clock for waits and durations, which never jumps."""

_real_clock: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_REALTIME)


def wall_clock() -> float:
    """Return the seconds since the epoch, which may jump."""
    mover = sys.modules.get("time_machine")
    if mover is None:
        return _real_clock()
    try:
        # The way that it leaves open itself, since it has changed the function in its place.
        return float(mover.escape_hatch.time.time())
    except ValueError:  # the clock is not moved (any more)
        return _real_clock()


def wall_clock_ns() -> int:
    """Return the same in nanoseconds, as file systems tell the time."""
    return int(wall_clock() * 1e9)


WALL_AT_ZERO = wall_clock() - monotonic()
"""The wall clock's time when the other one was at zero, by this module's import."""


# Its own class, even when this module is loaded while another stands in its place.
_kind = next(kind for kind in datetime.__mro__ if kind.__module__ == "datetime")
EPOCH: datetime = _kind(1970, 1, 1, tzinfo=UTC)


def utc_now() -> datetime:
    """Return the moment as an aware UTC datetime."""
    return EPOCH + timedelta(seconds=wall_clock())


def moment_of(text: str) -> datetime:
    """Return the moment of an ISO 8601 text; ValueError if it is none.

    A datetime, also where a frozen clock has put another class in its place.
    """
    return type(EPOCH).fromisoformat(text)
