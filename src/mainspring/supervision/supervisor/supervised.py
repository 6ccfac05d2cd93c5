"""One service in somebody's care: run, restarted by policy, asked to end, cancelled at last."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from mainspring.errors import ServiceFailed
from mainspring.model import events
from mainspring.supervision.restart import Doubling, Failures, Restart
from mainspring.supervision.workers.driver import asked_to_cancel

if TYPE_CHECKING:
    from mainspring.protocols import Service, Subscriber

log = logging.getLogger("mainspring.supervision")

HEALTHY_AFTER = 30.0
"""Seconds that a service must live for its next failure to count as the first."""

LAST_WAIT = 2.0
"""Seconds for a cancelled service to end before it is left behind."""


@runtime_checkable
class Observable(Protocol):
    """A service that tells events of its own."""

    def subscribe(self, subscriber: Subscriber) -> None:
        """Tell `subscriber` too."""
        ...


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """What a supervised service is.

    `state` is one of `new`, `starting`, `running`, `resting` (failed, and about to be started
    again), `stopped`, `failed`.
    """

    name: str
    state: str
    restarts: int
    error: str | None


class Supervised:
    """A service with its restart policy and state; all but `status` on its owner's loop."""

    def __init__(self, service: Service, restart: Restart | None, *, tell: Subscriber) -> None:
        self.service = service
        self.error: BaseException | None = None
        self.task: asyncio.Task[None] | None = None
        self._state = "new"
        self._restarts = 0
        self._failures = Failures(restart or Restart(), backoff=Doubling())
        self._tell = tell
        self._closing = asyncio.Event()
        self._ready: asyncio.Event = asyncio.Event()
        if isinstance(service, Observable):
            service.subscribe(tell)

    @property
    def name(self) -> str:
        """The service's name."""
        return self.service.name

    def status(self) -> ServiceStatus:
        """Return what it is; from any thread."""
        error = None if self.error is None else repr(self.error)
        return ServiceStatus(self.name, self._state, self._restarts, error)

    def start(self) -> asyncio.Task[None]:
        """Start it and return its life, which raises `ServiceFailed` if it fails for good."""
        self._state = "starting"
        self.task = asyncio.create_task(self._live(), name=self.name)
        return self.task

    async def wait_ready(self) -> None:
        """Wait until it is ready or has ended; raise what its start raised."""
        task = self.task or self.start()
        ready = asyncio.ensure_future(self._ready.wait())
        try:
            await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if not self._ready.is_set() and self.error is not None:
            raise self.error

    def ask(self) -> None:
        """Ask it to end, and start it no more."""
        self._closing.set()
        self.service.close()

    async def end(self, grace: float) -> bool:
        """Wait for its end, then cancel it; return whether it has ended."""
        if self.task is None:
            return True
        if not await _ended(self.task, grace):
            log.warning("service %r did not end within %.1f s; it is cancelled", self.name, grace)
            self.task.cancel()
            if not await _ended(self.task, LAST_WAIT):
                log.error("service %r ignores that it is cancelled; it is left behind", self.name)
                return False
        return True

    async def _live(self) -> None:
        while not self._closing.is_set():
            rest = await self._run()
            if rest is None:
                return
            self._state = "resting"
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), rest)
            self._restarts += 1
        self._stopped()

    async def _run(self) -> float | None:
        """Run the service; return the seconds to rest before the next run, or None: no more."""
        began = time.monotonic()
        try:
            await self.service.run(self._started)
        except asyncio.CancelledError as error:
            if asked_to_cancel():
                self._stopped()
                raise
            return self._failed(error, began)
        except BaseException as error:  # noqa: BLE001  the supervisor's border: recorded below
            return self._failed(error, began)
        self._stopped()
        return None

    def _started(self) -> None:
        self._state = "running"
        self._ready.set()
        self._tell(events.ServiceStarted(self.name))

    def _stopped(self) -> None:
        self._state = "stopped"
        self._tell(events.ServiceStopped(self.name))

    def _failed(self, error: BaseException, began: float) -> float | None:
        now = time.monotonic()
        if now - began > HEALTHY_AFTER:
            self._failures.succeeded()
        rest = None if self._final(error) else self._failures.failed(now)
        self.error = error
        if rest is None:
            self._state = "failed"
        if not _told_already(self.service, error):
            log.error("service %r failed, %s", self.name, _plan(rest), exc_info=error)
            self._tell(events.ServiceCrashed(self.name, error, rest))
        return rest

    def _final(self, error: BaseException) -> bool:
        """Whether no restart can follow: it gave up itself, never started, or is asked to end."""
        gave_up = isinstance(error, ServiceFailed | SystemExit | KeyboardInterrupt)
        return gave_up or not self._ready.is_set() or self._closing.is_set()


def grace_of(service: Service) -> float:
    """Return the seconds that a service with a grace of its own needs to end, else 0."""
    return float(getattr(service, "grace", 0.0))


async def _ended(task: asyncio.Task[None], seconds: float) -> bool:
    await asyncio.wait([task], timeout=max(seconds, 0.0))
    return task.done()


def _told_already(service: Service, error: BaseException) -> bool:
    """Whether it was a worker that gave up, which tells so itself."""
    return isinstance(service, Observable) and isinstance(error, ServiceFailed)


def _plan(rest: float | None) -> str:
    return "for good" if rest is None else f"and is started again in {rest:.2f} s"
