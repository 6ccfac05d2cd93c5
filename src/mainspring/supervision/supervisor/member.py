"""One service of a supervisor: run, restarted by policy, asked to end, cancelled at last."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from mainspring.clock import monotonic
from mainspring.errors import ServiceFailed
from mainspring.model import events
from mainspring.model.error_text import repr_of
from mainspring.model.user_frames import exc_info_of
from mainspring.supervision.restart import FOR_EVER, DoublingBackoff, Failures, Restart
from mainspring.supervision.workers.driver import asked_to_cancel

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.protocols import Service, Subscriber

log = logging.getLogger("mainspring.supervision")

HEALTHY_AFTER = 30.0
"""Seconds that a service must live for its next failure to count as the first."""


@runtime_checkable
class Observable(Protocol):
    """A service that tells events of its own."""

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with each event."""
        ...


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """The state of a supervised service.

    `state` is one of `new`, `starting`, `running`, `resting` (failed, and about to be started
    again), `stopped`, `failed`.
    """

    name: str
    state: str
    restarts: int
    error: str | None


class Member:
    """A service with its restart policy and state: a handle for any thread.

    `ended` is done when it has ended and will not be started again; its result is why it failed
    for good, or None. All but `status` and `ended` is for the loop of its supervisor.
    """

    def __init__(
        self,
        service: Service,
        restart: Restart | None,
        *,
        publish: Subscriber,
        on_end: Callable[[Member], object],
    ) -> None:
        self.service = service
        self.name = service.name
        self.state = "new"
        self.error: BaseException | None = None
        self.task: asyncio.Task[None] | None = None
        self.ended: Future[BaseException | None] = Future()
        self._policy = restart or FOR_EVER
        self._failures: Failures | None = None
        self._restarts = 0
        self._publish = publish
        self._on_end = on_end
        self._closing = False
        self._rest_over: asyncio.Event | None = None
        self._ready = False
        self._ready_or_ended: asyncio.Event | None = None

    def status(self) -> ServiceStatus:
        """Return what it is; from any thread."""
        error = None if self.error is None else repr_of(self.error)
        return ServiceStatus(self.name, self.state, self._restarts, error)

    def failure(self) -> ServiceFailed:
        """Return an error that says that it failed for good, and why."""
        failure = ServiceFailed(self.name, repr_of(self.error))
        failure.__cause__ = self.error
        return failure

    def start(self) -> None:
        """Start it, unless it was."""
        if self.task is not None:
            return
        if isinstance(self.service, Observable):
            self.service.subscribe(self._publish)
        self.state = "starting"
        self.task = asyncio.create_task(self._live(), name=self.name)
        self.task.add_done_callback(self._note_end)

    async def wait_ready(self, closing: asyncio.Event) -> bool:
        """Wait until it is ready or has ended; False: all are to close, and it is neither.

        Raises what its start raised.
        """
        self._ready_or_ended = asyncio.Event()
        if not self._ready and not self.ended.done():
            await _first_of(self._ready_or_ended, closing)
        if not self._ready and self.error is not None:
            raise self.error
        return self._ready or self.ended.done()

    def ask(self) -> None:
        """Ask it to end, and start it no more."""
        self._closing = True
        if self._rest_over is not None:
            self._rest_over.set()
        try:
            self.service.close()
        except Exception as error:
            # It is cancelled in the end, and the others are asked.
            text = "service %r raised when it was asked to end"
            log.exception(text, self.name, exc_info=exc_info_of(error))

    def cancel(self) -> None:
        """Cancel it: it was asked to end and does not."""
        if self.task is not None:
            self.task.cancel()

    @property
    def lives(self) -> bool:
        """True if it was started and has not ended."""
        return self.task is not None and not self.task.done()

    async def _live(self) -> None:
        while not self._closing:
            rest = await self._run()
            if rest is None:
                return
            self.state = "resting"
            await self._rest(rest)
            self._restarts += 1
        self._stopped()

    async def _rest(self, seconds: float) -> None:
        self._rest_over = asyncio.Event()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._rest_over.wait(), seconds)

    async def _run(self) -> float | None:
        """Run the service; return the seconds to rest before the next run, or None: no more."""
        began = monotonic()
        try:
            await self.service.run(self._started)
        except asyncio.CancelledError as error:
            if asked_to_cancel():
                self._stopped()
                raise
            return self._failed(error, began)
        except GeneratorExit:
            raise  # Python throws the coroutine away, since its loop was closed under it
        except BaseException as error:  # noqa: BLE001  the supervisor's border: recorded below
            return self._failed(error, began)
        self._stopped()
        return None

    def _started(self) -> None:
        self.state = "running"
        self._ready = True
        if self._ready_or_ended is not None:
            self._ready_or_ended.set()
        self._publish(events.ServiceStarted(self.name))

    def _stopped(self) -> None:
        self.state = "stopped"
        self._publish(events.ServiceStopped(self.name))

    def _failed(self, error: BaseException, began: float) -> float | None:
        now = monotonic()
        if self._failures is None:
            self._failures = Failures(self._policy, backoff=DoublingBackoff())
        if now - began > HEALTHY_AFTER:
            self._failures.succeeded()
        rest = None if self._is_final(error) else self._failures.failed(now)
        self.error = error
        if rest is None:
            self.state = "failed"
        # A worker that gave up reports that itself.
        if not (isinstance(self.service, Observable) and isinstance(error, ServiceFailed)):
            with suppress(Exception):  # a log handler may raise as well
                plan, info = _plan(rest), exc_info_of(error)
                log.error("service %r failed, %s", self.name, plan, exc_info=info)
            self._publish(events.ServiceCrashed(self.name, error, rest))
        return rest

    def _is_final(self, error: BaseException) -> bool:
        """Return whether no restart can follow: it gave up, never started, or is asked to end."""
        gave_up = isinstance(error, ServiceFailed | SystemExit | KeyboardInterrupt)
        return gave_up or not self._ready or self._closing

    def _note_end(self, task: asyncio.Task[None]) -> None:
        retrieve(task)
        if self._ready_or_ended is not None:
            self._ready_or_ended.set()
        self._on_end(self)
        self.ended.set_result(self.error if self.state == "failed" else None)


async def _first_of(*set_by: asyncio.Event) -> None:
    """Wait until one of these is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in set_by]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()


def retrieve(task: asyncio.Task[None]) -> None:
    """Look at a task's error, so that asyncio does not complain that nobody did."""
    if not task.cancelled():
        task.exception()


def grace_of(service: Service) -> float:
    """Return the seconds that a service with a grace of its own needs to end, else 0."""
    return float(getattr(service, "grace", 0.0))


def _plan(rest: float | None) -> str:
    return "for good" if rest is None else f"and is started again in {rest:.2f} s"
