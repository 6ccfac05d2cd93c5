"""The asyncio task pools of a supervisor: each lives on one of its aloops.

It knows of a pool that it starts, stops and counts, and not what its tasks are.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent import futures
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from mainspring.background.aloop import START_TIMEOUT
from mainspring.background.registry import OwnedRegistry
from mainspring.errors import AlreadyRunning, NotRunning
from mainspring.supervision.inside import running_loop
from mainspring.supervision.supervisor.service import Startable, StartableService

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.background.aloop import ALoop, Loops
    from mainspring.background.supervisor.running_pools import RunningPools
    from mainspring.supervision.supervisor.member import Member
    from mainspring.supervision.supervisor.supervisor import Supervisor


class TaskPool(Startable, Protocol):
    """An `AsyncTaskWorker`, as its supervisor sees it."""

    @property
    def grace(self) -> float:
        """The seconds that its end may take."""
        ...

    @property
    def running(self) -> bool:
        """True if it takes tasks."""
        ...

    def stats(self) -> dict[str, Any]:
        """Return counts; from any thread."""
        ...


class PoolService:
    """One life of a pool on an aloop, from a supervisor's start to its stop."""

    def __init__(self, pool: TaskPool, aloop: ALoop) -> None:
        self.pool = pool
        self.aloop = aloop
        self._service_life = StartableService()
        self._ready = threading.Event()

    @property
    def name(self) -> str:
        """The pool's name."""
        return self.pool.name

    @property
    def grace(self) -> float:
        """The pool's own."""
        return self.pool.grace

    async def run(self, started: Callable[[], None]) -> None:
        """Start the pool on its loop, and stop it there when closed."""
        home = asyncio.get_running_loop()

        def ready() -> None:
            home.call_soon_threadsafe(self._begin, started)

        life = self._service_life.run(self.pool, ready)
        living = asyncio.wrap_future(self.aloop.spawn_coroutine_threadsafe(life))
        try:
            await asyncio.shield(living)
        except asyncio.CancelledError:
            self.close()
            await self._hasten()
            raise
        finally:
            # Who waits for a start that failed has waited long enough.
            self._ready.set()

    def close(self) -> None:
        """Ask it to end; from any thread."""
        self._service_life.close()

    def wait_ready(self, timeout: float) -> bool:
        """Block until it takes tasks or has failed, up to `timeout` seconds; whether one is so."""
        return self._ready.wait(timeout)

    def _begin(self, started: Callable[[], None]) -> None:
        started()
        self._ready.set()

    async def _hasten(self) -> None:
        # A loop that has ended has cancelled the bodies that ran on it.
        with suppress(NotRunning):
            stop = self.aloop.spawn_coroutine_threadsafe(self.pool.stop(0))
            await asyncio.wait([asyncio.wrap_future(stop)])


class PoolEntry:
    """A pool of a supervisor, the loop it belongs on (None: the default), and its present life."""

    def __init__(self, pool: TaskPool, loop: ALoop | None) -> None:
        self.pool = pool
        self.loop = loop
        self._service: PoolService | None = None
        self._member: Member | None = None

    def __repr__(self) -> str:
        return repr(self.pool)

    @property
    def vacant(self) -> bool:
        """True if nothing keeps the pool running."""
        return self._member is None or self._member.ended.done()

    def start(self, aloop: ALoop, group: Supervisor) -> PoolService:
        """Start the pool there, without waiting for it."""
        self._service = PoolService(self.pool, aloop)
        self._member = group.launch(self._service)
        return self._service

    def stop(self, wait: float | None) -> bool:
        """Ask the pool to end, and wait so many seconds; return whether it has ended."""
        if self._service is None or self._member is None:
            return True
        self._service.close()
        futures.wait([self._member.ended], wait)
        return self.vacant

    def lives_on(self, aloop: ALoop) -> bool:
        """Return whether the pool runs on that loop."""
        return not self.vacant and self._service is not None and self._service.aloop is aloop

    def describe(self) -> dict[str, Any]:
        """Return what the pool is and has done; it serialises to JSON."""
        service, member = self._service, self._member
        status = None if member is None else member.status()
        return {
            "name": self.pool.name,
            "state": "new" if status is None else status.state,
            "loop": None if service is None else service.aloop.name,
            "restarts": 0 if status is None else status.restarts,
            "error": None if status is None else status.error,
            **self.pool.stats(),
        }


class TaskPools:
    """The pools of one supervisor. They stay its own over its stops and starts."""

    def __init__(self, loops: Loops) -> None:
        self._loops = loops
        self._places: OwnedRegistry[PoolEntry] = OwnedRegistry("task pool", inherited=True)
        self._lock = threading.RLock()

    def all(self) -> list[PoolEntry]:
        """Return every pool's place, in the order in which they were added."""
        return self._places.all()

    def add(self, pool: TaskPool, loop: ALoop | str | None, running: RunningPools) -> None:
        """Add a pool, and start it unless a start is to come.

        Raises `AlreadyRunning`, `DuplicateName`, `InvalidOption`.
        """
        if pool.running:
            raise AlreadyRunning("task pool", pool.name)
        if isinstance(loop, str):
            loop = self._loops.get(loop)
        place = PoolEntry(pool, loop)
        self._places.add(pool.name, place)
        if running.active:
            self._start([place], running)

    def drop(self, pool: TaskPool) -> bool:
        """Stop a pool and forget it; from a coroutine without waiting for its end."""
        place = self._places.get(pool.name)
        if place is None or place.pool is not pool or not self._places.drop(pool.name, place):
            return False
        place.stop(None if running_loop() is None else 0)
        return True

    def start(self, running: RunningPools) -> None:
        """Start those that do not run, and wait until they take tasks."""
        self._start(self.all(), running)

    def start_loop(self, name: str, running: RunningPools) -> bool:
        """Start a loop, and the pools that belong on it; False: it runs already."""
        aloop = self._loops.get(name)
        started = aloop.start(running.loops)
        self._start([place for place in self.all() if place.loop is aloop], running)
        return started

    def stop_loop(self, name: str, wait: float | bool) -> bool:  # noqa: FBT001  the pages' signature
        """Stop the pools of a loop, for which it would wait, then the loop itself."""
        aloop = self._loops.get(name)
        for place in self.all():
            if place.lives_on(aloop):
                place.stop(wait=0)
        return aloop.stop(wait)

    def _start(self, places: list[PoolEntry], running: RunningPools) -> None:
        with self._lock:
            services = [
                place.start(self._loop_of(place, running), running.task_pools)
                for place in places
                if place.vacant
            ]
        for service in services:
            # A loop can't wait for what is about to start on it.
            if service.aloop.thread.current_loop is not running_loop():
                service.wait_ready(START_TIMEOUT)

    def _loop_of(self, place: PoolEntry, running: RunningPools) -> ALoop:
        aloop = self._loops.running(place.loop, running.loops)
        aloop.start(running.loops)
        return aloop
