"""When a worker runs: rules that decide and never wait. Items of a queue are in `backlog`.

Each keeps to `mainspring.protocols.Trigger`; `now` is `time.monotonic()`.
"""

from __future__ import annotations

import math
import random
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from mainspring.errors import InvalidOption
from mainspring.supervision.restart import is_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.protocols import Schedule

Misfire = Literal["coalesce", "skip", "all"]

MISFIRES: tuple[Misfire, ...] = ("coalesce", "skip", "all")

CLOCK_LOOK = 60.0
"""Seconds between two looks at the wall clock, so that one that was set is noticed."""


def _nobody() -> None:
    """Stand in for the wake of a driver that is not there yet."""


class WakingTrigger:
    """What the triggers here do alike: end the sleep of their driver, and learn of a run's end."""

    def __init__(self) -> None:
        self._wake: Callable[[], None] = _nobody
        self.closed = False

    def bind(self, wake: Callable[[], None]) -> None:
        """Take the function that ends the driver's sleep."""
        self._wake = wake

    def close(self) -> None:
        """Fire no more; from any thread."""
        self.closed = True
        self._wake()

    def done(self, now: float) -> None:
        """Change nothing."""


class Continuous(WakingTrigger):
    """Fires again as soon as a run has ended."""

    def due(self, now: float) -> float | None:  # noqa: ARG002  the seam's signature
        """Return 0: always now."""
        return 0.0

    def take(self, now: float) -> tuple[object, ...]:  # noqa: ARG002  the seam's signature
        """Return no arguments."""
        return ()

    def wake(self) -> None:
        """Let the driver look again."""
        self._wake()


class Event(WakingTrigger):
    """Fires after `fire` or `wake`; what comes before the run begins is one firing.

    A `fire` during a run is exactly one more run. With `payloads` the target gets the payload of
    the last `fire`, None after a plain `wake`.
    """

    def __init__(self, *, payloads: bool = False) -> None:
        super().__init__()
        self._payloads = payloads
        self._payload: object = None
        self._pending = False
        # Reentrant, since a signal handler may fire while its own thread is in here.
        self._lock = threading.RLock()

    def fire(self, payload: object = None) -> None:
        """Ask for a run with `payload`; from any thread."""
        with self._lock:
            self._payload = payload
            self._pending = True
        self._wake()

    def forget(self) -> None:
        """Drop a firing that no run has taken yet; from any thread."""
        with self._lock:
            self._payload = None
            self._pending = False

    @property
    def pending(self) -> bool:
        """Whether it has been fired since the last run began."""
        return self._pending

    def due(self, now: float) -> float | None:  # noqa: ARG002  the seam's signature
        """Return 0 when fired, else None."""
        return 0.0 if self._pending else None

    def take(self, now: float) -> tuple[object, ...] | None:  # noqa: ARG002  the seam's signature
        """Return the payload, if the target wants it; None if the firing was dropped meanwhile."""
        with self._lock:
            if not self._pending:
                return None
            payload, self._payload = self._payload, None
            self._pending = False
        return (payload,) if self._payloads else ()

    def wake(self) -> None:
        """Fire without a payload, but keep one that waits; from any thread."""
        with self._lock:
            self._pending = True
        self._wake()


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


class Scheduled(WakingTrigger):
    """Fires when `schedule` says; ticks that went by during a run or a sleep are one run at once.

    `clock` returns the aware wall-clock time. A clock set back fires no tick a second time.
    """

    def __init__(
        self, schedule: Schedule, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        super().__init__()
        self.schedule = schedule
        self._clock = clock
        self._next: datetime | None = None
        self._begun = False
        self._since: datetime | None = None  # the tick after this one is still to be asked for
        self._skipping = False
        self._pending = False

    def rebase(self) -> None:
        """Leave the next tick out; from any thread."""
        self._skipping = True
        self._wake()

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
        raise InvalidOption("delay", delay, owner=owner, expected="interval= or delay=, not both")
    if interval is None and delay is None and delay_before is None:
        raise InvalidOption(
            "interval", None, owner=owner, expected="interval=, delay= or delay_before="
        )
    if interval is not None and not (is_number(interval) and 0 < interval < math.inf):
        raise InvalidOption("interval", interval, owner=owner, expected="seconds greater than 0")
    for option, value in (("delay", delay), ("delay_before", delay_before), ("jitter", jitter)):
        if value is not None and not (is_number(value) and 0 <= value < math.inf):
            raise InvalidOption(option, value, owner=owner, expected="seconds, 0 or more")
    if misfire not in MISFIRES:
        raise InvalidOption("misfire", misfire, owner=owner, expected=" or ".join(MISFIRES))
