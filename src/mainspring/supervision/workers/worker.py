"""A worker: trigger, target and restart policy; one run at a time. It is a service.

Its steps - when to run, with what, and what comes of it - are here; a driver calls them.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from mainspring.clock import monotonic
from mainspring.errors import AlreadyRunning, InvalidOption, ServiceFailed
from mainspring.model import events
from mainspring.model.error_text import repr_of
from mainspring.model.user_frames import exc_info_unless_ours
from mainspring.supervision.event_bus import EventBus
from mainspring.supervision.restart import FOR_EVER, DoublingBackoff, Failures, NoDelay, Restart
from mainspring.supervision.triggers.continuous import Continuous
from mainspring.supervision.workers.driver import Driver, LoopDriver, ThreadDriver
from mainspring.supervision.workers.status import RunCounts, WorkerStatus, wall_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mainspring.protocols import Gate, Subscriber, Trigger

log = logging.getLogger("mainspring.supervision")

CANCELLED_REST = 0.1
"""Seconds that a continuous worker rests after a run that was cancelled from within."""

HANGS_AFTER_INTERVALS = 3.0
HANGS_AFTER_SECONDS = 5.0
"""A run hangs that lasts beyond so many intervals of its worker and beyond so many seconds."""


class Worker:
    """Runs `target` whenever `trigger` fires, never twice at once.

    A sync target runs in a thread of the worker's own, an async one on the loop that `run` is
    awaited on; `thread` may say so explicitly, `driver` stands in for both. The target gets the
    arguments that the trigger hands out (most hand out none). A target that returns False ends the
    worker. One that raises is logged, told to `on_error` and, as `events.ServiceCrashed`, to
    subscribers, and goes on by `restart`; only errors of the classes `unlogged` are not logged,
    since who raises them does that. When the policy gives up, `run` raises `ServiceFailed`. Once
    closed it stays closed.

    Raises `InvalidOption` for `thread=True` with an async target, or `thread=False` with a sync
    one.
    """

    def __init__(  # noqa: PLR0913  a worker is what these are
        self,
        name: str,
        target: Callable[..., object],
        trigger: Trigger,
        *,
        restart: Restart | None = None,
        thread: bool | None = None,
        driver: Driver | None = None,
        on_error: Callable[[Exception], object] | None = None,
        unlogged: tuple[type[Exception], ...] = (),
    ) -> None:
        self.name = name
        self.kind = type(trigger).__name__.lower()
        self.trigger = trigger
        self.owners: tuple[object, ...] = ()
        """The owners whose code the target is a part of; see `inside`."""
        self.gate: Gate | None = None
        """Lets it run or not; set before it is run."""
        self.running = False
        self.runner: int | None = None
        """The thread that runs a sync target just now, its hooks and `on_error` included."""
        self._driver = driver or _driver_for(name, target, thread=thread)
        self._on_error = on_error
        self._unlogged = unlogged
        self._restart = restart or FOR_EVER
        self._bus = EventBus()
        self._active = False
        # Reentrant, since a signal handler may close while its own thread is in `begin`.
        self._lock = threading.RLock()
        self._reset()

    def _reset(self) -> None:
        self.counts = RunCounts()
        self.failure: ServiceFailed | None = None
        """The reason why it gave up, if it did."""
        self._spins = isinstance(self.trigger, Continuous)
        backoff = DoublingBackoff() if self._spins else NoDelay()
        self._failures = Failures(self._restart, backoff=backoff)
        self._hold = 0.0
        self._trigger_error: BaseException | None = None

    @property
    def active(self) -> bool:
        """True if it is being run and has not been asked to end."""
        return self._active and not self.ending

    @property
    def ending(self) -> bool:
        """True if no further run will begin."""
        return self.trigger.closed or self.failure is not None

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with each failure of a run, in the thread or loop of the run."""
        self._bus.subscribe(subscriber)

    async def run(self, started: Callable[[], None]) -> None:
        """Run the target as the trigger says until closed.

        Raises `ServiceFailed` when the restart policy gives up, `AlreadyRunning`.
        """
        if self._active:
            raise AlreadyRunning("worker", self.name)
        if self.failure is not None:
            self._reset()
        self._active = True
        try:
            if self.ending:
                started()
            else:
                await self._driver.drive(self, started)
        except asyncio.CancelledError:
            # A thread that goes on unseen must at least not begin another run.
            self.close()
            raise
        finally:
            self._active = False
        if self.failure is not None:
            raise self.failure

    def wake(self) -> None:
        """Run as soon as possible; during a run: once more after it. From any thread."""
        self.trigger.wake()

    def close(self) -> None:
        """Let no further run begin: none does once this has returned. From any thread."""
        with self._lock:
            self.trigger.close()

    def bind(self, wake: Callable[[], None]) -> None:
        """Set the function that ends the driver's sleep."""
        self.trigger.bind(wake)
        if self.gate is not None:
            self.gate.bind(wake, self._driver.cancel_run)

    @property
    def _stands_by(self) -> bool:
        return self.gate is not None and not self.gate.is_open

    def hangs(self) -> bool:
        """Return whether its run lasts far beyond its interval; from any thread."""
        began = self.counts.last_run
        lasts = monotonic() - began if self.running and began is not None else 0.0
        if lasts <= HANGS_AFTER_SECONDS:
            return False
        pace: float | None = getattr(self.trigger, "pace", None)
        return pace is not None and lasts > HANGS_AFTER_INTERVALS * pace

    def silence(self) -> float:
        """Return the seconds since its thread last looked whether to run; 0 without a thread."""
        return self._driver.silence() if isinstance(self._driver, ThreadDriver) else 0.0

    def prod(self) -> None:
        """Let its thread look, if it has one, and run only if it is due; from any thread."""
        if isinstance(self._driver, ThreadDriver):
            self._driver.prod()

    def status(self) -> WorkerStatus:
        """Return what it is doing and has done; from any thread."""
        counts = self.counts
        error = counts.last_error or self.failure
        state = self._state()
        return WorkerStatus(
            name=self.name,
            kind=self.kind,
            state=state,
            runs=counts.runs,
            errors=counts.errors,
            error=None if error is None else repr_of(error),
            last_run=wall_time(counts.last_run),
            next_run=wall_time(counts.next_run) if self.active else None,
            restarts=counts.restarts,
            failing=counts.failing,
            hanging=self.hangs(),
            waits_for=self.gate.reason if self.gate and state == "standby" else None,
        )

    def _state(self) -> str:
        if self.running:
            return "running"
        if self.failure is not None:
            return "failed"
        if self.trigger.closed:
            return "stopped"
        if self._active and self._stands_by:
            return "standby"
        return "idle" if self._active else "waiting"

    def pause(self, now: float) -> float | None:
        """Return the seconds until the next run (0 or less: now; None: not before a wake).

        A trigger that raises is due now: the run that begins is where its error is recorded.
        """
        try:
            is_open = self.gate is None or self.gate.opens()
            due = self.trigger.due(now) if is_open else None
            self._trigger_error = None
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and _is_main_thread():
                raise  # it came to whoever wakes the worker
            due, self._trigger_error = 0.0, error  # raised by `begin`, a worker's border
        if due is None:
            self.counts.next_run = None
            return None
        if self._hold:
            due = max(due, self._hold - now)
        self.counts.next_run = now + due
        return due

    def begin(self, now: float, runner: int | None = None) -> tuple[object, ...] | None:
        """Return the run's arguments; `runner` is the thread that a sync target runs in.

        None: it was closed meanwhile, or is no longer due, or to take them failed.
        """
        with self._lock:
            # Running already: a signal handler that looked in the middle of a look was faster.
            if self.running or self.trigger.closed or self.failure is not None:
                return None
            if self.gate is not None and self._trigger_error is None and not self.gate.is_open:
                return None  # it has closed since the look
            self.running = True
            self.runner = runner
        self._hold = 0.0
        self.counts.last_run = now
        try:
            if self._trigger_error is not None:
                raise self._trigger_error  # noqa: TRY301  recorded as what `take` raises is
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
        """Note that this thread is done with its run, and with what follows an error."""
        if self.runner == runner:
            self.runner = None
            if self.gate is not None and self.ending:
                self.gate.leave()  # for a run that was left behind

    def succeeded(self, result: object) -> None:
        """Record a run; only False ends the worker."""
        self.running = False
        self.counts.runs += 1
        self.trigger.done(monotonic())
        if self.counts.failing:
            self.counts.failing = False
            self._failures.succeeded()
        # A run that ends since it may not go on does not mean to end the worker.
        if result is False and not self._stands_by:
            self.close()

    def failed(self, error: Exception) -> None:
        """Record a run that raised, and rest or give up by the restart policy."""
        now = monotonic()
        counts = self.counts
        counts.errors += 1
        counts.failing = True
        counts.last_error = error
        # A trigger that does not know when would otherwise be asked again at once, for ever.
        rest = self._failures.failed(now, paced=self._trigger_error is None)
        if rest is None:
            self._give_up(f"it failed too often, the last time: {repr_of(error)}", error)
        else:
            counts.restarts += 1
            self._hold = now + rest if rest else 0.0
        try:
            self._log_failure(error, rest)
            self._report_failure(error, rest)
        finally:
            self._ended(now)

    def _log_failure(self, error: Exception, rest: float | None) -> None:
        if isinstance(error, self._unlogged) and rest is not None:
            return
        text, info = repr_of(error), exc_info_unless_ours(error)
        with suppress(Exception):  # a log handler may raise as well
            log.error("worker %r failed: %s; %s", self.name, text, _plan(rest), exc_info=info)

    def _report_failure(self, error: Exception, rest: float | None) -> None:
        try:
            self._bus.publish(events.ServiceCrashed(self.name, error, rest))
            if self._on_error is not None:
                self._on_error(error)
        except BaseException as ending:  # noqa: BLE001  on_error may exit as a target may
            self._abort(ending)

    def cancelled(self, *, asked: bool = False) -> None:
        """Record a run that was cancelled: neither a success nor a failure.

        `asked`: not from within, but by who ends the worker.
        """
        now = monotonic()
        if self._spins and not asked:  # the next run may be cancelled by the same thing, at once
            self._hold = now + CANCELLED_REST
        self._ended(now)
        if not asked:
            with suppress(Exception):
                log.warning("a run of worker %r was cancelled from within; it goes on", self.name)

    def lost(self, why: str) -> None:
        """Fail for good, since what carries it is gone; a run under way never ends."""
        self.running = False
        if not self.ending:
            log.warning("worker %r stops: %s", self.name, why)
            self._give_up(why, None)
            self._bus.publish(events.ServiceCrashed(self.name, self.failure, None))  # type: ignore[arg-type]  # just set
            self.close()

    def aborted(self, error: BaseException) -> None:
        """Record a run that asked for the end of the program: it is the end of the worker."""
        self._ended(monotonic())
        self._abort(error)

    def _give_up(self, why: str, cause: BaseException | None) -> None:
        failure = ServiceFailed(self.name, why)
        failure.__cause__ = cause
        self.failure = failure

    def _abort(self, error: BaseException) -> None:
        self.close()
        with suppress(Exception):
            log.warning("worker %r stops: its target raised %s", self.name, repr_of(error))

    def _ended(self, now: float) -> None:
        self.running = False
        self.counts.runs += 1
        self.trigger.done(now)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def is_async(target: Callable[..., object]) -> bool:
    """Return whether calling `target` gives something to await."""
    while isinstance(target, functools.partial):
        target = target.func
    return inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(
        getattr(target, "__call__", None)  # noqa: B004  an object with an async __call__
    )


def _driver_for(name: str, target: Callable[..., object], *, thread: bool | None) -> Driver:
    awaited = is_async(target)
    if thread is awaited:
        expected = "False or None for an async target" if thread else "True or None for a sync one"
        raise InvalidOption("thread", thread, owner=f"worker {name!r}", expected=expected)
    if awaited:
        return LoopDriver(cast("Callable[..., Awaitable[object]]", target))
    return ThreadDriver(target)


def _plan(rest: float | None) -> str:
    if rest is None:
        return "it failed too often and stops"
    return f"it goes on after {rest:.2f} s" if rest else "it goes on"
