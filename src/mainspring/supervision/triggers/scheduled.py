"""A trigger that fires when a schedule says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.clock import utc_now
from mainspring.supervision.triggers.continuous import WakingTrigger

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mainspring.protocols import Schedule

CLOCK_LOOK = 60.0
"""Seconds between two looks at the wall clock, so that one that was set is noticed."""


class Scheduled(WakingTrigger):
    """Fires when `schedule` says; ticks that went by during a run or a sleep are one run at once.

    `clock` returns the aware wall-clock time. A clock set back fires no tick a second time.
    """

    def __init__(self, schedule: Schedule, *, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__()
        self.schedule = schedule
        self._clock = clock
        self._next: datetime | None = None
        self._begun = False
        self._since: datetime | None = None  # the tick after this one is still to be asked for
        self._skipping = False
        self._pending = False

    @property
    def pace(self) -> float | None:
        """The seconds from the next tick to the one after; None if there is no other."""
        try:
            first = self.schedule.next_after(self._clock())
            second = None if first is None else self.schedule.next_after(first)
        except Exception:  # noqa: BLE001  the worker fails of it, which is where it is recorded
            return None
        return None if first is None or second is None else (second - first).total_seconds()

    def rebase(self) -> None:
        """Leave the next tick out; from any thread."""
        self._skipping = True
        self._wake()

    def begin_anew(self) -> None:
        """Leave out what goes by until it is next asked; for the thread that asks it."""
        self._begun = False

    def due(self, now: float) -> float | None:  # noqa: ARG002  the wall clock counts here
        """Return the seconds until the next tick, at most `CLOCK_LOOK`."""
        if self._pending:
            return 0.0
        if not self._begun:
            self._since = self._clock()
            self._begun = True
        self._find_next()
        if self._next is None:
            return None
        return min((self._next - self._clock()).total_seconds(), CLOCK_LOOK)

    def take(self, now: float) -> tuple[object, ...]:  # noqa: ARG002  the wall clock counts here
        """Move on to the first tick after now."""
        if self._next is not None and not self._pending:
            self._since = max(self._clock(), self._next)
        self._pending = False
        return ()

    def wake(self) -> None:
        """Fire now, besides the schedule; from any thread."""
        self._pending = True
        self._wake()

    def _find_next(self) -> None:
        """Ask the schedule; when it raises, the same is asked the next time."""
        if self._since is not None:
            self._next = self.schedule.next_after(self._since)
            self._since = None
        if self._skipping and self._next is not None:
            self._next = self.schedule.next_after(self._next)
            self._skipping = False
