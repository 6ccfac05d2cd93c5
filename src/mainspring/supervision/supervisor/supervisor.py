"""Owns services in order: starts them one by one, restarts them, closes them in reverse.

It knows nothing of what a service does. `TaskSupervisor` is built of it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Self

from mainspring.errors import AlreadyRunning, DuplicateName, NotRunning, ServiceFailed
from mainspring.supervision.forked import forget_in_child
from mainspring.supervision.loops.fine_loop import new_loop
from mainspring.supervision.megaphone import Megaphone
from mainspring.supervision.supervisor.main_thread import end_with_main_thread, outlive
from mainspring.supervision.supervisor.supervised import ServiceStatus, Supervised, grace_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mainspring.protocols import Service, Subscriber
    from mainspring.supervision.restart import Restart

log = logging.getLogger("mainspring.supervision")

COURTESY = 0.25
"""Seconds that each service gets to end even when those before it have used up the grace."""

STUCK_AFTER = 5.0
"""Seconds beyond the grace after which the supervisor's own thread is given up."""


class Supervisor:
    """Services in the order in which they were given, for one lifetime.

    Use it from sync code (`start`, `stop`, `join`: a thread with a loop of its own), from a
    coroutine (`astart`, `astop`, `ajoin`, `async with`: the caller's loop), or as a service of
    another supervisor. When a service fails for good, all others are closed and `failed` says why;
    a service that ends without an error is no failure. `grace` is the seconds that closing may
    take altogether before services are cancelled; a service with a longer `grace` of its own, as
    another supervisor has, keeps it.
    """

    def __init__(
        self, services: Iterable[Service] = (), *, name: str = "supervisor", grace: float = 25.0
    ) -> None:
        self._name = name
        self.own_grace = grace
        self._megaphone = Megaphone()
        self._offers: list[tuple[Service, Restart | None]] = [(one, None) for one in services]
        self._entries: list[Supervised] = []
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._closed = False
        self._deadline: float | None = None
        self._failed: ServiceFailed | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        forget_in_child(self)

    @property
    def name(self) -> str:
        """What the log and a supervisor above it call it."""
        return self._name

    @property
    def grace(self) -> float:
        """Seconds that closing may take: its own, or more if a service has a longer one."""
        return max(self.own_grace, *(grace_of(service) for service, _ in self._offers), 0.0)

    @property
    def failed(self) -> ServiceFailed | None:
        """Why it ended by itself, if it did."""
        return self._failed

    @property
    def running(self) -> bool:
        """Whether it is being run."""
        return self._loop is not None

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that it is run on, while it is."""
        return self._loop

    @property
    def closing(self) -> bool:
        """Whether it was asked to end, or has ended."""
        return self._closed or self._failed is not None

    @property
    def working(self) -> bool:
        """Whether it is being run and was not asked to end; asked at each call of a pool."""
        return self._loop is not None and not self._closed and self._failed is None

    def time_left(self) -> float:
        """Return the seconds that its end may take, what is stuck included."""
        deadline = self._deadline or time.monotonic() + self.grace
        return max(deadline - time.monotonic(), 0.0) + STUCK_AFTER

    def services(self) -> tuple[ServiceStatus, ...]:
        """Return the state of each service, in order; from any thread."""
        return tuple(entry.status() for entry in self._entries)

    def add(self, service: Service, *, restart: Restart | None = None) -> None:
        """Put a service behind those it has; before the start only.

        `restart` says how a service that failed after its start is started again; without it, for
        ever and with a growing rest. Raises `AlreadyRunning`, `DuplicateName`.
        """
        if self.running:
            raise AlreadyRunning("supervisor", self._name)
        for other, _ in self._offers:
            if other.name == service.name:
                raise DuplicateName(
                    service.name, kind="service", first=repr(other), second=repr(service)
                )
        self._offers.append((service, restart))

    def subscribe(self, subscriber: Subscriber) -> None:
        """Tell `subscriber` what happens to the services."""
        self._megaphone.subscribe(subscriber)

    async def run(self, started: Callable[[], None]) -> None:
        """Start the services, wait for `close` or a failure, close them in reverse.

        Cancelling it closes them too, with no more than a moment for each.
        Raises what a service's start raised, or `ServiceFailed` for one that failed later.
        """
        with self._lock:
            if self.running:
                raise AlreadyRunning("supervisor", self._name)
            self._wake = asyncio.Event()
            self._loop = asyncio.get_running_loop()
            self._failed = None
        try:
            await self._live(started)
        finally:
            with self._lock:
                self._loop = None
        if self._failed is not None:
            raise self._failed

    def close(self, grace: float | None = None) -> None:
        """Ask it to end within `grace` seconds (None: its own grace); from any thread."""
        with self._lock:
            if grace is not None or self._deadline is None:
                self._deadline = time.monotonic() + (self.grace if grace is None else grace)
            self._closed = True
            if self._loop is not None and self._wake is not None:
                self._loop.call_soon_threadsafe(self._wake.set)

    def start(self, timeout: float | None = None) -> None:
        """Run it in a thread of its own; return when every service is ready.

        Ends with the main thread. Raises what a service's start raised, `TimeoutError`,
        `AlreadyRunning`, or `NotRunning` once it was closed.
        """
        ready = self._start_thread()
        try:
            ready.result(timeout)
        except BaseException:
            self.stop()
            raise

    def stop(self, grace: float | None = None) -> bool:
        """Close it and wait for its end, `grace` seconds and a little; return whether it ended.

        From a coroutine of its own loop it only asks.
        """
        self.close(grace)
        return self.join((self.grace if grace is None else grace) + STUCK_AFTER)

    def forget_life(self) -> None:
        """In a forked child: have ended, if it was begun, for its thread is the parent's."""
        self._lock = threading.RLock()
        self._closed = self._closed or self._thread is not None or self._task is not None
        self._loop = self._thread = self._task = None
        outlive(self)

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end of `start`'s thread up to `timeout` seconds; return whether it ended."""
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return not self.running
        thread.join(timeout)
        return not thread.is_alive()

    async def astart(self) -> None:
        """Run it on this loop; return when every service is ready. Raises as `start` does."""
        self._check_fresh()
        ready = asyncio.Event()
        self._task = asyncio.create_task(self.run(ready.set), name=self._name)
        waiting = asyncio.ensure_future(ready.wait())
        try:
            await asyncio.wait([self._task, waiting], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._task.done():
            self._task.result()

    async def astop(self, grace: float | None = None) -> None:
        """Close it and wait for its end."""
        self.close(grace)
        await self.ajoin()

    async def ajoin(self) -> None:
        """Wait for its end; `failed` tells how it was."""
        if self._task is not None and self._task is not asyncio.current_task():
            await asyncio.wait([self._task])
            _retrieve(self._task)

    async def __aenter__(self) -> Self:
        await self.astart()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.astop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _check_fresh(self) -> None:
        if self._thread is not None or self._task is not None:
            raise AlreadyRunning("supervisor", self._name)
        if self._closed:
            raise NotRunning(f"supervisor {self._name!r} is closed; make a new one")

    def _start_thread(self) -> Future[None]:
        ready: Future[None] = Future()
        with self._lock:
            self._check_fresh()
            thread = threading.Thread(
                target=self._live_in_thread, args=(ready,), name=self._name, daemon=True
            )
            end_with_main_thread(self)
            thread.start()
            # Not before: whoever joins it meanwhile would find one that has not begun.
            self._thread = thread
        return ready

    def _live_in_thread(self, ready: Future[None]) -> None:
        try:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                runner.run(self.run(lambda: ready.set_result(None)))
        except BaseException as error:  # noqa: BLE001  the thread's border: `start` raises it
            if not ready.done():
                ready.set_exception(error)
        finally:
            outlive(self)

    async def _live(self, started: Callable[[], None]) -> None:
        try:
            await self._start_and_wait(started)
        except asyncio.CancelledError:
            self._deadline = time.monotonic()
            raise
        finally:
            await self._close_all_patiently()

    async def _start_and_wait(self, started: Callable[[], None]) -> None:
        assert self._wake is not None  # noqa: S101  for the type checker
        self._entries = [
            Supervised(service, restart, tell=self._megaphone.tell)
            for service, restart in self._offers
        ]
        for entry in self._entries:
            if self._closed:
                break
            await self._start_one(entry)
        started()
        if not self._closed:
            await self._wake.wait()

    async def _start_one(self, entry: Supervised) -> None:
        entry.start().add_done_callback(lambda _: self._note_end(entry))
        await entry.wait_ready()

    def _note_end(self, entry: Supervised) -> None:
        if entry.status().state == "failed" and not self._closed and self._wake is not None:
            self._failed = ServiceFailed(entry.name, repr(entry.error))
            self._failed.__cause__ = entry.error
            self._wake.set()

    async def _close_all_patiently(self) -> None:
        """Close all services even when this task is cancelled meanwhile: then without grace."""
        closing = asyncio.create_task(self._close_all(), name=f"{self._name} closing")
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            self._deadline = time.monotonic()
            for entry in self._entries:
                if entry.task is not None:
                    entry.task.cancel()
            await asyncio.wait([closing])
            raise

    async def _close_all(self) -> None:
        if self._deadline is None:
            self._deadline = time.monotonic() + self.grace
        for entry in reversed(self._entries):
            entry.ask()
            left = self._deadline - time.monotonic()
            await entry.end(max(left, COURTESY))


def _retrieve(task: asyncio.Task[None]) -> None:
    """Look at a task's error, so that asyncio does not complain that nobody did."""
    if not task.cancelled():
        task.exception()
