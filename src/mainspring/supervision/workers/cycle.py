"""The steps of one worker, whoever drives them: when to run, with what, and what comes of it."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mainspring.errors import ServiceFailed
from mainspring.model import events

if TYPE_CHECKING:
    from mainspring.protocols import Subscriber, Trigger
    from mainspring.supervision.restart import Failures

log = logging.getLogger("mainspring.supervision")


@dataclass(slots=True)
class Tally:
    """What a worker has done so far."""

    runs: int = 0
    errors: int = 0
    failing: bool = False
    last_error: BaseException | None = None
    last_run: float | None = None  # time.monotonic()
    next_run: float | None = None  # time.monotonic()


class Cycle:
    """One worker's trigger, restart policy and tally. One driver calls the steps."""

    __slots__ = (
        "_failures",
        "_hold",
        "_lock",
        "_misled",
        "_tell",
        "gave_up",
        "name",
        "runner",
        "running",
        "tally",
        "trigger",
    )

    def __init__(
        self,
        name: str,
        trigger: Trigger,
        failures: Failures,
        *,
        tell: Subscriber,
    ) -> None:
        self.name = name
        self.trigger = trigger
        self.tally = Tally()
        self.running = False
        self.runner: int | None = None
        self.gave_up: ServiceFailed | None = None
        self._failures = failures
        self._tell = tell
        self._hold = 0.0
        self._misled: BaseException | None = None
        # Reentrant, since a signal handler may close while its own thread is in `begin`.
        self._lock = threading.RLock()

    @property
    def over(self) -> bool:
        """Whether no run will follow."""
        return self.trigger.closed or self.gave_up is not None

    def close(self) -> None:
        """Let no further run begin: none does once this has returned."""
        with self._lock:
            self.trigger.close()

    def pause(self, now: float) -> float | None:
        """Return the seconds until the next run (0 or less: now; None: not before a wake).

        A trigger that raises is due now: the run that begins is where its error is recorded.
        """
        try:
            due, self._misled = self.trigger.due(now), None
        except BaseException as error:  # noqa: BLE001  raised by `begin`, a worker's border
            due, self._misled = 0.0, error
        if due is None:
            self.tally.next_run = None
            return None
        if self._hold:
            due = max(due, self._hold - now)
        self.tally.next_run = now + due
        return due

    def begin(self, now: float, runner: int | None = None) -> tuple[object, ...] | None:
        """Return the run's arguments; `runner` is the thread that a sync target runs in.

        None: it was closed meanwhile, or is no longer due, or to take them failed.
        """
        with self._lock:
            # Running already: a signal handler that looked in the middle of a look was faster.
            if self.running or self.trigger.closed or self.gave_up is not None:
                return None
            self.running = True
            self.runner = runner
        self._hold = 0.0
        self.tally.last_run = now
        try:
            if self._misled is not None:
                raise self._misled  # noqa: TRY301  recorded as what `take` raises is
            arguments = self.trigger.take(now)
        except Exception as error:  # noqa: BLE001  a hook of the user's, as good as the target
            self.failed(error)
        except BaseException as error:  # noqa: BLE001  see above
            self.aborted(error)
        else:
            self.running = arguments is not None
            return arguments
        return None

    def leave(self, runner: int) -> None:
        """Take notice that this thread is done with its run, and with who was told of it."""
        if self.runner == runner:
            self.runner = None

    def succeeded(self, result: object) -> None:
        """Record a run; only False ends the worker."""
        self.running = False
        self.tally.runs += 1
        self.trigger.done(time.monotonic())
        if self.tally.failing:
            self.tally.failing = False
            self._failures.succeeded()
        if result is False:
            self.close()

    def failed(self, error: Exception) -> None:
        """Record a run that raised, and rest or give up by the restart policy."""
        now = time.monotonic()
        self._ended(now)
        self.tally.errors += 1
        self.tally.failing = True
        self.tally.last_error = error
        # A trigger that does not know when would otherwise be asked again at once, for ever.
        rest = self._failures.failed(now, paced=self._misled is None)
        log.error("worker %r failed: %r; %s", self.name, error, _plan(rest), exc_info=error)
        if rest is None:
            self.gave_up = ServiceFailed(
                self.name, f"it failed too often, the last time: {error!r}"
            )
            self.gave_up.__cause__ = error
        elif rest:
            self._hold = now + rest
        try:
            self._tell(events.ServiceCrashed(self.name, error, rest))
        except BaseException as ending:  # noqa: BLE001  on_error may exit as a target may
            self._abort(ending)

    def cancelled(self, *, asked: bool = False) -> None:
        """Record a run that was cancelled: neither a success nor a failure.

        `asked`: not from within, but by who ends the worker.
        """
        self._ended(time.monotonic())
        if not asked:
            log.warning("a run of worker %r was cancelled from within; it goes on", self.name)

    def lost(self, why: str) -> None:
        """Record that what carries it is gone: it ends, and a run under way never will."""
        self.running = False
        if not self.over:
            log.warning("worker %r stops: %s", self.name, why)
            self.close()

    def aborted(self, error: BaseException) -> None:
        """Record a run that asked for the end of the program: it is the end of the worker."""
        self._ended(time.monotonic())
        self._abort(error)

    def _abort(self, error: BaseException) -> None:
        log.warning("worker %r stops: its target raised %r", self.name, error)
        self.close()

    def _ended(self, now: float) -> None:
        self.running = False
        self.tally.runs += 1
        self.trigger.done(now)


def wall_time(moment: float | None) -> datetime | None:
    """Return a moment of `time.monotonic()` as aware UTC."""
    if moment is None:
        return None
    return datetime.now(UTC) + timedelta(seconds=moment - time.monotonic())


def _plan(rest: float | None) -> str:
    if rest is None:
        return "it failed too often and stops"
    return f"it goes on after {rest:.2f} s" if rest else "it goes on"
