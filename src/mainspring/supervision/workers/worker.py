"""A worker: trigger, target and restart policy; one run at a time. It is a service."""

from __future__ import annotations

import asyncio
import functools
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainspring.errors import AlreadyRunning, InvalidOption
from mainspring.supervision.megaphone import Megaphone
from mainspring.supervision.restart import Doubling, Failures, NoRest, Restart
from mainspring.supervision.triggers.continuous import Continuous
from mainspring.supervision.workers.cycle import Cycle, wall_time
from mainspring.supervision.workers.driver import Driver, LoopDriver, ThreadDriver

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mainspring.errors import ServiceFailed
    from mainspring.protocols import Subscriber, Trigger


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """What a worker is and has done; times are aware UTC.

    `state` is one of `waiting` (not run yet), `running` (a run is under way), `idle`, `stopped`,
    `failed` (gave up by its restart policy; `error` says why). `queued` is how many items wait for
    a queue worker; `restarts` how often it went on after an error; `failing` whether its last run
    raised.
    """

    name: str
    kind: str
    state: str
    runs: int
    errors: int
    error: str | None
    last_run: datetime | None
    next_run: datetime | None
    queued: int | None = None
    restarts: int = 0
    failing: bool = False


class Worker:
    """Runs `target` whenever `trigger` fires, never twice at once.

    A sync target runs in a thread of the worker's own, an async one on the loop that `run` is
    awaited on; `thread` may say so explicitly, `driver` stands in for both. The target gets the
    arguments that the trigger hands out (most hand out none). A target that returns False ends the
    worker. One that raises is logged, told to subscribers as `events.ServiceCrashed`, and goes on
    by `restart`; when that gives up, `run` raises `ServiceFailed`. Once closed it stays closed.

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
    ) -> None:
        self._name = name
        self.kind = type(trigger).__name__.lower()
        self.trigger = trigger
        self._driver = driver or _driver_for(name, target, thread=thread)
        self._restart = restart or Restart()
        self._megaphone = Megaphone()
        self._cycle = self._new_cycle()
        self._active = False

    @property
    def name(self) -> str:
        """What the supervisor, the log and the views call it."""
        return self._name

    @property
    def active(self) -> bool:
        """Whether it is being run and has not been asked to end."""
        return self._active and not self._cycle.over

    @property
    def ending(self) -> bool:
        """Whether no further run will begin."""
        return self._cycle.over

    @property
    def gave_up(self) -> bool:
        """Whether it ended by its restart policy."""
        return self._cycle.gave_up is not None

    @property
    def failure(self) -> ServiceFailed | None:
        """Why it gave up, if it did."""
        return self._cycle.gave_up

    @property
    def runner(self) -> int | None:
        """The thread that runs a sync target just now, its hooks and `on_error` included."""
        return self._cycle.runner

    def subscribe(self, subscriber: Subscriber) -> None:
        """Tell `subscriber` of each run that fails, in the thread or loop of the run."""
        self._megaphone.subscribe(subscriber)

    async def run(self, started: Callable[[], None]) -> None:
        """Run the target as the trigger says until closed.

        Raises `ServiceFailed` when the restart policy gives up, `AlreadyRunning`.
        """
        if self._active:
            raise AlreadyRunning("worker", self._name)
        if self._cycle.gave_up is not None:
            self._cycle = self._new_cycle()
        self._active = True
        try:
            await self._run(started)
        except asyncio.CancelledError:
            # A thread that goes on unseen must at least not begin another run.
            self.close()
            raise
        finally:
            self._active = False

    def wake(self) -> None:
        """Run as soon as possible; during a run: once more after it. From any thread."""
        self.trigger.wake()

    def close(self) -> None:
        """Let no further run begin; the one under way ends by itself. From any thread."""
        self._cycle.close()

    def status(self) -> WorkerStatus:
        """Return what it is doing and has done; from any thread."""
        tally = self._cycle.tally
        return WorkerStatus(
            name=self._name,
            kind=self.kind,
            state=self._state(),
            runs=tally.runs,
            errors=tally.errors,
            error=None if tally.last_error is None else repr(tally.last_error),
            last_run=wall_time(tally.last_run),
            next_run=wall_time(tally.next_run) if self.active else None,
            restarts=tally.errors - self.gave_up,
            failing=tally.failing,
        )

    async def _run(self, started: Callable[[], None]) -> None:
        cycle = self._cycle
        if cycle.over:
            started()
            return
        await self._driver.drive(cycle, started)
        if cycle.gave_up is not None:
            raise cycle.gave_up

    def _state(self) -> str:
        if self._cycle.running:
            return "running"
        if self._cycle.gave_up is not None:
            return "failed"
        if self.trigger.closed:
            return "stopped"
        return "idle" if self._active else "waiting"

    def _new_cycle(self) -> Cycle:
        spins = isinstance(self.trigger, Continuous)
        failures = Failures(self._restart, backoff=Doubling() if spins else NoRest())
        return Cycle(self._name, self.trigger, failures, tell=self._megaphone.tell)


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
    return LoopDriver(target) if awaited else ThreadDriver(target)  # type: ignore[arg-type]  # is_async said so
