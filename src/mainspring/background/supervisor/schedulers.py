"""Schedulers of the user's own: objects with a `stop` method and, if async, a `loop` coroutine."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any, Protocol

from mainspring.background.registry import OwnedRegistry
from mainspring.supervision.workers.driver import asked_to_cancel

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

    from mainspring.background.aloop import ALoop
    from mainspring.supervision.supervisor.supervisor import Supervisor

log = logging.getLogger("mainspring.supervision")


class SyncScheduler(Protocol):
    """A scheduler that a supervisor can stop."""

    def stop(self) -> object:
        """End."""
        ...


class AsyncScheduler(SyncScheduler, Protocol):
    """A scheduler that a supervisor can run and stop."""

    def loop(self) -> Coroutine[Any, Any, Any]:
        """Live until stopped."""
        ...


class SyncSchedulers:
    """The schedulers that a supervisor only stops; they run by themselves."""

    def __init__(self) -> None:
        self._schedulers: OwnedRegistry[SyncScheduler] = OwnedRegistry("scheduler", inherited=True)

    def add(self, scheduler: SyncScheduler) -> None:
        """Stop it, too, when the time has come. Raises `TypeError` if it can't be stopped."""
        _check(scheduler, "stop")
        self._schedulers.add(str(id(scheduler)), scheduler)

    def all(self) -> list[SyncScheduler]:
        """Return all of them."""
        return self._schedulers.all()

    def drop(self, scheduler: object) -> bool:
        """Forget a scheduler; return whether it was known."""
        return self._schedulers.drop(str(id(scheduler)))

    def stop(self) -> None:
        """Stop and forget all of them, the last first; what one raises is logged."""
        for scheduler in reversed(self._schedulers.drop_all()):
            try:
                scheduler.stop()
            except BaseException:
                log.exception("stop of scheduler %r raised", scheduler)


class SchedulerService:
    """A scheduler as a service: its `loop` runs on an aloop, `close` calls its `stop`.

    Raises `TypeError` for an object that has not both.
    """

    spawn: Callable[[Coroutine[Any, Any, Any]], Future[Any]]
    """Runs a coroutine on the scheduler's loop; to be set before it is run."""

    def __init__(self, scheduler: AsyncScheduler) -> None:
        _check(scheduler, "stop", "loop")
        self.scheduler = scheduler
        self.aloop: ALoop | None = None
        self._closed = False
        self._cancelled = False
        self._loop_run: Future[Any] | None = None

    @property
    def name(self) -> str:
        """The scheduler's name, or its type's."""
        return name_of(self.scheduler)

    def runs(self, scheduler: object) -> bool:
        """Return whether it is that scheduler, and was not asked to end."""
        return self.scheduler is scheduler and not self._closed

    async def run(self, started: Callable[[], None]) -> None:
        """Await the scheduler's loop; its end, or a cancellation after `stop`, is ours."""
        started()
        if self._closed:
            return
        self._loop_run = self.spawn(self.scheduler.loop())
        if self._cancelled:  # while it was spawned
            self._loop_run.cancel()
        try:
            await asyncio.wrap_future(self._loop_run)
        except asyncio.CancelledError:
            if asked_to_cancel() or not self._closed:
                raise

    def close(self) -> None:
        """Call the scheduler's `stop`, once; what it raises is logged, and ends its loop too."""
        if self._closed:
            return
        self._closed = True
        try:
            result = self.scheduler.stop()
            if inspect.iscoroutine(result):
                self.spawn(result)
        except BaseException:
            log.exception("stop of scheduler %r raised; its loop is cancelled", self.scheduler)
            self._cancel()

    def leave(self) -> None:
        """End the scheduler's loop without calling its `stop`, unless that was called."""
        if not self._closed:
            self._closed = True
            self._cancel()

    def _cancel(self) -> None:
        self._cancelled = True
        if self._loop_run is not None:
            self._loop_run.cancel()


def _check(scheduler: object, *methods: str) -> None:
    for method in methods:
        if not callable(getattr(scheduler, method, None)):
            raise TypeError(f"{scheduler!r} is no scheduler: give it a method {method}")


def name_of(scheduler: object) -> str:
    """Return the name of a scheduler or worker, or its type's."""
    for attribute in ("name", "_name"):
        if isinstance(name := getattr(scheduler, attribute, None), str):
            return name
    return type(scheduler).__name__


def schedulers_of(group: Supervisor) -> list[AsyncScheduler]:
    """Return the schedulers that are services of a group."""
    services = [member.service for member in group.members]
    return [one.scheduler for one in services if isinstance(one, SchedulerService)]


def service_of(scheduler: object, group: Supervisor) -> SchedulerService | None:
    """Return the service that a scheduler is in a group, unless it was asked to end."""
    for member in group.members:
        service = member.service
        if isinstance(service, SchedulerService) and service.runs(scheduler):
            return service
    return None


def unregister(scheduler: object, group: Supervisor) -> bool:
    """Stop a scheduler that is a service of a group; return whether it is one."""
    service = service_of(scheduler, group)
    if service is not None:
        service.close()
    return service is not None
