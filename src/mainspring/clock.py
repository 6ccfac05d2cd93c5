"""The clocks of the package: those of the system, though a test may have frozen `time.time`.

freezegun replaces the functions of `time` in every loaded module. Our own deadlines, leases and
stored moments go on: a worker beside a frozen clock keeps its lease, and what is delayed runs.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

monotonic: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_MONOTONIC)
"""Seconds of the clock for waits and durations, which never jumps."""

wall_clock: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_REALTIME)
"""Seconds since the epoch, which may jump."""

WALL_AT_ZERO = wall_clock() - monotonic()
"""The wall clock's time when the other one was at zero, by this module's import."""

wall_clock_ns: Callable[[], int] = partial(time.clock_gettime_ns, time.CLOCK_REALTIME)
"""The same in nanoseconds, as file systems tell the time."""

# Its own class, even when this module is loaded while another stands in its place.
_kind = next(kind for kind in datetime.__mro__ if kind.__module__ == "datetime")
EPOCH: datetime = _kind(1970, 1, 1, tzinfo=UTC)


def utc_now() -> datetime:
    """Return the moment as an aware UTC datetime."""
    return EPOCH + timedelta(seconds=wall_clock())
