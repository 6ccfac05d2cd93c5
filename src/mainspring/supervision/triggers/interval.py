"""A trigger that fires every so many seconds."""

from __future__ import annotations

import math
import random
from typing import Literal

from mainspring.errors import InvalidOption
from mainspring.model.number import is_number
from mainspring.supervision.triggers.continuous import WakingTrigger

Misfire = Literal["coalesce", "skip", "all"]

MISFIRES: tuple[Misfire, ...] = ("coalesce", "skip", "all")


class Interval(WakingTrigger):
    """Fires every `interval` seconds, start to start, on a grid that does not drift.

    Or `delay` seconds after the end of the last run. The first firing is at once. `delay_before`
    is waited before every run, the first too, and may be combined with either. `jitter` adds up to
    so many seconds at random to each wait, and does not move the grid. A run longer than the
    interval misses ticks: `misfire` says that they become one run at once (`"coalesce"`), that
    they are left out (`"skip"`), or that each is made up for (`"all"`). `wake` fires now and moves
    the grid there.
    """

    def __init__(  # noqa: PLR0913  the options of the reference pages
        self,
        interval: float | None = None,
        *,
        delay: float | None = None,
        delay_before: float | None = None,
        jitter: float = 0.0,
        misfire: Misfire = "coalesce",
        owner: str = "Interval",
    ) -> None:
        super().__init__()
        check_pace(interval, delay, delay_before, jitter=jitter, misfire=misfire, owner=owner)
        self.interval = interval
        self.delay = delay
        self.delay_before = delay_before or 0.0
        self.jitter = jitter
        self.misfire = misfire
        self._tick: float | None = None  # when the next cycle begins
        self._ended = -math.inf  # when the last run ended
        self._extra = 0.0  # this cycle's jitter
        self._pending = False
        self._moved = False
        self._moved_to: float | None = None

    @property
    def pace(self) -> float | None:
        """The seconds from one firing to the next; None if a run may take any time."""
        return self.interval

    def repace(
        self, interval: float | None, delay: float | None, delay_before: float | None
    ) -> None:
        """Have another pace from the next run on; the values are checked by the caller."""
        self.interval = interval
        self.delay = delay
        self.delay_before = delay_before or 0.0

    def rebase(self, moment: float | None = None) -> None:
        """Count the next firing from a moment, as if a run had begun then; from any thread.

        None: when it is next asked, so after a run under way, as always with a `delay`.
        """
        self._moved_to = moment
        self._moved = True
        self._wake()

    def due(self, now: float) -> float | None:
        """Return the seconds until the next run."""
        if self._pending:
            return 0.0
        if self._moved:
            self._moved = False
            self._set_tick(self._moved_tick(now))
        if self._tick is None:
            self._set_tick(now)
        elif not self.delay_before:
            return self._tick + self._extra - now
        return self._start() - now

    def take(self, now: float) -> tuple[object, ...]:
        """Move on to the tick after `now`."""
        if self._pending:
            self._pending = self._moved = False
            self._tick = now - self.delay_before
        tick, interval = self._tick, self.interval
        if interval is None:
            return ()
        if tick is None:
            self._set_tick(now)
        elif now - self.delay_before - tick < interval or self.misfire == "all":
            self._set_tick(tick + interval)
        else:
            self._set_tick(self._next_on_grid(now))
        return ()

    def done(self, now: float) -> None:
        """Count the delay from here; with `misfire="skip"` leave out the ticks that went by."""
        self._ended = now
        if self.interval is None:
            self._set_tick(now + (self.delay or 0.0))
        elif self.misfire == "skip" and self._start() < now:
            self._set_tick(self._next_on_grid(now))

    def wake(self) -> None:
        """Fire now and move the grid; from any thread."""
        self._pending = True
        self._wake()

    def _set_tick(self, moment: float) -> None:
        self._tick = moment
        if self.jitter:
            self._extra = random.random() * self.jitter

    def _moved_tick(self, now: float) -> float:
        if self.interval is None:
            return now + (self.delay or 0.0)
        return (now if self._moved_to is None else self._moved_to) + self.interval

    def _start(self) -> float:
        """Return when the run of the next cycle starts: a wait before it is never cut short."""
        tick = self._tick if self._tick is not None else self._ended
        if self.delay_before:
            tick = max(tick, self._ended)
        return tick + self.delay_before + self._extra

    def _next_on_grid(self, now: float) -> float:
        tick = self._tick if self._tick is not None else now
        interval = self.interval or 1.0
        missed = max(0.0, now - self.delay_before - tick) // interval
        return tick + (missed + 1) * interval


def check_pace(  # noqa: PLR0913  one check for one set of options
    interval: float | None,
    delay: float | None,
    delay_before: float | None,
    *,
    jitter: float,
    misfire: str,
    owner: str,
) -> None:
    """Raise `InvalidOption` for a pace that makes no sense, in the name of `owner`."""
    if interval is not None and delay is not None:
        why, remedy = "can't be combined with interval", "give only one of them"
        raise InvalidOption("delay", delay, owner=owner, why=why, remedy=remedy)
    if interval is None and delay is None and delay_before is None:
        raise InvalidOption(
            "interval",
            None,
            owner=owner,
            why="leaves open when it runs",
            remedy="give interval, delay or delay_before",
        )
    if interval is not None and not (is_number(interval) and 0 < interval < math.inf):
        raise InvalidOption("interval", interval, owner=owner, expected="seconds greater than 0")
    for option, value in (("delay", delay), ("delay_before", delay_before), ("jitter", jitter)):
        if value is not None and not (is_number(value) and 0 <= value < math.inf):
            raise InvalidOption(option, value, owner=owner, expected="seconds, 0 or more")
    if misfire not in MISFIRES:
        raise InvalidOption("misfire", misfire, owner=owner, expected=" or ".join(MISFIRES))
