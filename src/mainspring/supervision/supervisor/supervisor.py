"""A supervisor of services: starts them, restarts them, and closes them in reverse.

It knows nothing of what a service does. `TaskSupervisor` is built of it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from mainspring.clock import monotonic
from mainspring.errors import AlreadyRunning, DuplicateName, NotRunning, ServiceFailed
from mainspring.supervision.event_bus import EventBus
from mainspring.supervision.forked import reset_in_child
from mainspring.supervision.loops.precise_loop import new_loop
from mainspring.supervision.loops.thread_calls import ThreadCalls
from mainspring.supervision.supervisor.main_thread import end_with_main_thread, outlive
from mainspring.supervision.supervisor.member import Member, ServiceStatus, grace_of, retrieve
from mainspring.supervision.supervisor.policy import IN_ORDER, Policy

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
        self,
        services: Iterable[Service] = (),
        *,
        name: str = "supervisor",
        grace: float = 25.0,
        policy: Policy = IN_ORDER,
    ) -> None:
        self.name = name
        self.own_grace = grace
        self._policy = policy
        self._bus = EventBus()
        self._offers: list[tuple[Service, Restart | None]] = [(one, None) for one in services]
        self._members: dict[int, Member] = {}
        self._lock = threading.RLock()
        self._calls: ThreadCalls | None = None
        self._wake: asyncio.Event = asyncio.Event()
        self._closed = False
        self._deadline: float | None = None
        self._patience: asyncio.Timeout | None = None
        self._failed: ServiceFailed | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        reset_in_child(self)

    @property
    def grace(self) -> float:
        """Seconds that closing may take: its own, or more if a service has a longer one."""
        own = self.own_grace if self._policy.in_order else 0.0
        services = [member.service for member in self.members]
        offered = [service for service, _ in self._offers]
        return max(own, *map(grace_of, (*offered, *services)), 0.0)

    @property
    def members(self) -> list[Member]:
        """The services that have not ended, in the order in which they were added."""
        with self._lock:
            return list(self._members.values())

    @property
    def failed(self) -> ServiceFailed | None:
        """The reason why it ended by itself, if it did."""
        return self._failed

    @property
    def running(self) -> bool:
        """True if it is being run."""
        return self._calls is not None

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that it is run on, while it is."""
        calls = self._calls
        return None if calls is None else calls.loop

    @property
    def closing(self) -> bool:
        """True if it was asked to end, or has ended."""
        return self._closed or self._failed is not None

    @property
    def working(self) -> bool:
        """True if it is being run and was not asked to end; asked at each call of a pool."""
        return self._calls is not None and not self._closed and self._failed is None

    def time_left(self) -> float:
        """Return the seconds that its end may take, what is stuck included."""
        deadline = self._deadline or monotonic() + self.grace
        return max(deadline - monotonic(), 0.0) + STUCK_AFTER

    def services(self) -> tuple[ServiceStatus, ...]:
        """Return the state of each service, in order; from any thread."""
        return tuple(member.status() for member in self.members)

    def add(self, service: Service, *, restart: Restart | None = None) -> None:
        """Put a service behind those it has, before the start only.

        `restart` says how a service that failed after its start is started again; without it, for
        ever and with a growing rest. Raises `AlreadyRunning`, `DuplicateName`.
        """
        if self.running:
            raise AlreadyRunning("supervisor", self.name)
        for other, _ in self._offers:
            if other.name == service.name:
                first, second = repr(other), repr(service)
                raise DuplicateName(service.name, kind="service", first=first, second=second)
        self._offers.append((service, restart))

    def launch(self, service: Service, *, restart: Restart | None = None) -> Member:
        """Start a service while it runs, without waiting for it; from any thread.

        Raises `NotRunning` before it runs and once it is closed.
        """
        member = self._member_of(service, restart)
        with self._lock:
            if self._calls is None or self._closed:
                raise NotRunning(f"{self.name} takes no service: the supervisor is not running")
            self._members[id(member)] = member
            self._calls.call(member.start)
        return member

    def answers(self, timeout: float) -> bool:
        """Return whether its loop answers within so many seconds; True if none runs."""
        calls, answered = self._calls, threading.Event()
        if calls is not None:
            calls.call(answered.set)
        return calls is None or answered.wait(timeout)

    def cancel(self, member: Member) -> None:
        """Cancel a service that was asked to end and does not; from any thread."""
        with self._lock:
            if self._calls is not None:
                self._calls.call(member.cancel)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with the events of the services."""
        self._bus.subscribe(subscriber)

    async def run(self, started: Callable[[], None]) -> None:
        """Start the services, wait for `close` or a failure, close them in reverse.

        Cancelling it closes them too, with no more than a moment for each.
        Raises what a service's start raised, or `ServiceFailed` for one that failed later.
        """
        with self._lock:
            if self.running:
                raise AlreadyRunning("supervisor", self.name)
            self._wake = asyncio.Event()
            self._calls = ThreadCalls(asyncio.get_running_loop())
            self._failed = None
            self._members.clear()
        try:
            await self._live(started)
        finally:
            with self._lock:
                self._calls = None
        if self._failed is not None:
            raise self._failed

    def close(self, grace: float | None = None) -> None:
        """Ask it to end within `grace` seconds (None: its own grace); from any thread.

        To ask again can make the end come sooner, not later.
        """
        with self._lock:
            if grace is not None or (self._deadline is None and self._policy.in_order):
                deadline = monotonic() + (self.grace if grace is None else grace)
                self._deadline = min(deadline, self._deadline or deadline)
            self._closed = True
            if self._calls is not None:
                with suppress(RuntimeError):  # its loop is closed, and it has ended so
                    self._calls.call(self._hear_close)

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

    def reset_after_fork(self) -> None:
        """In a forked child: have ended, if it was begun, for its thread is the parent's."""
        self._lock = threading.RLock()
        self._closed = self._closed or self._thread is not None or self._task is not None
        self._calls = self._thread = self._task = None
        outlive(self)

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end of `start`'s thread up to `timeout` seconds; return whether it ended."""
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return not self.running
        # A longer one is refused, and a grace may be infinite.
        thread.join(None if timeout is None else min(timeout, threading.TIMEOUT_MAX))
        return not thread.is_alive()

    async def astart(self) -> None:
        """Run it on this loop; return when every service is ready. Raises as `start` does."""
        self._check_fresh()
        ready = asyncio.Event()
        self._task = asyncio.create_task(self.run(ready.set), name=self.name)
        waiting = asyncio.ensure_future(ready.wait())
        try:
            await asyncio.wait([self._task, waiting], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self.astop()
            raise
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
            retrieve(self._task)

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
            raise AlreadyRunning("supervisor", self.name)
        if self._closed:
            raise NotRunning(f"supervisor {self.name!r} is closed; make a new one")

    def _start_thread(self) -> Future[None]:
        ready: Future[None] = Future()
        with self._lock:
            self._check_fresh()
            thread = threading.Thread(
                target=self._live_in_thread, args=(ready,), name=self.name, daemon=True
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
            await self._start_all()
            started()
            if not self._closed:
                await self._wake.wait()
        except asyncio.CancelledError:
            self._deadline = monotonic()
            raise
        finally:
            await self._close_all()

    def _hear_close(self) -> None:
        self._wake.set()
        if self._patience is not None and self._deadline is not None:
            left = self._deadline - monotonic()
            with suppress(RuntimeError):  # it has run out
                self._patience.reschedule(asyncio.get_running_loop().time() + left)

    async def _start_all(self) -> None:
        for service, restart in self._offers:
            member = self._member_of(service, restart)
            with self._lock:
                self._members[id(member)] = member
        for member in self.members:
            if self._closed:
                break
            member.start()
            if not await member.wait_ready(self._wake) and self._failed is not None:
                raise self._failed

    def _member_of(self, service: Service, restart: Restart | None) -> Member:
        return Member(service, restart, publish=self._bus.publish, on_end=self._note_end)

    def _note_end(self, member: Member) -> None:
        if not self._policy.in_order:
            with self._lock:
                self._members.pop(id(member), None)
        elif member.state == "failed" and not self.closing:
            self._failed = member.failure()
            self._wake.set()

    async def _close_all(self) -> None:
        """Close all services, also when this task is cancelled meanwhile: then without grace."""
        if self._policy.in_order:
            if self._deadline is None:
                self._deadline = monotonic() + self.grace
            batches = [[member] for member in reversed(self.members)]
        else:
            batches = [list(reversed(self.members))]
        cancelled = [await self._close(batch) for batch in batches]
        if any(cancelled):
            raise asyncio.CancelledError

    async def _close(self, batch: list[Member]) -> bool:
        """Ask services to end, wait, cancel them; return whether we were cancelled meanwhile."""
        for member in batch:
            member.ask()
            if member.task is None and not self._policy.in_order:
                member.start()  # it was added just now; it ends at once, and says so
        limit = self._deadline
        left = None if limit is None else max(limit - monotonic(), COURTESY)
        self._patience = asyncio.timeout(left)
        cancelled = await self._wait(batch, self._patience)
        for member in batch:
            if member.lives and not cancelled:
                log.warning("service %r did not end in its time; it is cancelled", member.name)
                member.cancel()
        cancelled = await self._wait(batch, asyncio.timeout(self._policy.last_wait)) or cancelled
        for member in batch:
            if member.lives:
                log.error("service %r ignores that it is cancelled; it is left behind", member.name)
        return cancelled

    async def _wait(self, batch: list[Member], limit: asyncio.Timeout) -> bool:
        tasks = [member.task for member in batch if member.task is not None and member.lives]
        try:
            with suppress(TimeoutError):
                async with limit:
                    if tasks:
                        await asyncio.wait(tasks)
        except asyncio.CancelledError:
            self._deadline = monotonic()
            for member in self.members:
                member.cancel()
            return True
        return False
