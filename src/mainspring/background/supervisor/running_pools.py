"""The pools and groups of a task supervisor, from one start to the stop that follows."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from mainspring.errors import InvalidOption
from mainspring.model.number import is_whole
from mainspring.model.options import refuse_unknown
from mainspring.supervision.supervisor.policy import TOGETHER
from mainspring.supervision.supervisor.supervisor import Supervisor
from mainspring.supervision.supervisor.watchdog import Watchdog
from mainspring.supervision.threads.pool import PriorityThreadPool
from mainspring.supervision.threads.priority import pool_sizes
from mainspring.supervision.workers.worker import Worker

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor

    from mainspring.model.events import Event
    from mainspring.processes.pool import ProcessPool
    from mainspring.protocols import Service, Subscriber
    from mainspring.supervision.loops.event_loop import EventLoopThread
    from mainspring.supervision.threads.priority import PoolSizes


PROCESS_OPTIONS = (
    "reserve_normal",
    "reserve_high",
    "spare",
    "eager",
    "initializer",
    "initargs",
    "name",
    "max_tasks_per_child",
    "max_memory_per_child_bytes",
    "grace",
    "handler",
)
"""The options of `ProcessPool` but its size: it is not loaded before it is needed."""

KEPT_SIZES = ("pool_size", "reserve_normal", "reserve_high")
"""Sizes of the thread pool that hold until they are set again, as with atasker."""


class RunningPools:
    """Groups of pools, loops, task pools, jobs and workers, in the order in which they start."""

    def __init__(
        self,
        name: str,
        *,
        sizes: PoolSizes,
        loops: Callable[[], Iterable[EventLoopThread]],
        publish: Subscriber,
        on_end: Callable[[], object],
    ) -> None:
        self.pools, self.loops, self.task_pools, self.jobs, self.workers = groups = [
            Supervisor(name=kind, policy=TOGETHER)
            for kind in ("pools", "loops", "task pools", "jobs", "workers")
        ]
        self.threads = PriorityThreadPool(sizes, name=f"{name}_thread")
        self.processes: ProcessPool | None = None
        self._begun = False
        self._on_end = on_end
        self._threads_ended: Future[Any] = Future()
        self._lock = threading.RLock()  # a signal handler may ask as well
        self.watchdog = Watchdog(loops, publish=publish)
        watchdog = Worker("watchdog", self.watchdog.look, self.watchdog.trigger)
        for group in groups:
            group.subscribe(publish)
        self.loops.subscribe(self._look_at_loops)
        services: list[Service] = [*groups, watchdog]
        self.core = Supervisor(services, name=name)

    def _look_at_loops(self, event: Event) -> None:  # noqa: ARG002  whichever it is, there are others now
        self.watchdog.wake()

    def make_processes(self, options: dict[str, Any]) -> ProcessPool:
        """Return the process pool, started on demand, of one child a CPU unless `size` says."""
        with self._lock:
            if self.processes is None:
                pool = _new_process_pool(f"{self.core.name}_process", options)
                self.pools.launch(pool)
                self.processes = pool
            return self.processes

    def drop_processes(self) -> None:
        """Close the process pool; the next that is asked for is a new one."""
        with self._lock:
            if self.processes is not None:
                self.processes.close()
            self.processes = None

    @property
    def active(self) -> bool:
        """True if it runs and was not asked to end."""
        return self._begun and self.core.working

    @property
    def over(self) -> bool:
        """True if it was asked to end, or has ended."""
        return self.core.closing

    @property
    def control_loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that it runs on itself, which runs no user's code, while it runs."""
        return self.core.loop

    @property
    def spent(self) -> bool:
        """True once nothing can be queued any more; `on_end` is called then, whatever ended it."""
        return self._threads_ended.done()

    def begin(self, grace: float) -> None:
        """Start everything; a stop gives so many seconds to what runs."""
        self.core.own_grace = grace
        self.core.start()
        self._threads_ended = self.pools.launch(self.threads).ended
        self._threads_ended.add_done_callback(lambda _: self._on_end())
        self._begun = True


def _new_process_pool(name: str, options: dict[str, Any]) -> ProcessPool:
    from mainspring.processes.pool import ProcessPool  # noqa: PLC0415  # a lazy door

    cpus = os.cpu_count() or 1
    return ProcessPool(**{"name": name, "size": cpus, "eager": cpus, **options})


class PoolSettings:
    """The options of both pools, over all starts, and an executor that stands in for threads."""

    def __init__(self) -> None:
        self.sizes = pool_sizes()
        self._sizes: dict[str, Any] = {}
        self.stand_in: Executor | None = None
        self.process_stand_in: Any = None
        self._process_options: dict[str, Any] = {}
        self._process_pool_made = False

    def size_threads(self, running: RunningPools, sizes: dict[str, Any]) -> None:
        """Set other sizes of the thread pool, also while it works. Raises `InvalidOption`."""
        kept = {} if sizes.get("max_size") is not None else self._sizes
        given = {**kept, **{name: one for name, one in sizes.items() if one is not None}}
        self.sizes = pool_sizes(**given)
        self._sizes = {name: given[name] for name in KEPT_SIZES if name in given}
        if running.active:
            running.threads.resize(self.sizes)

    def set_processes(
        self, running: RunningPools, size: int | None, options: dict[str, Any]
    ) -> None:
        """Have another process pool from now on. Raises as `set_mp_pool`."""
        if size is not None and not (is_whole(size) and size >= 1):
            raise InvalidOption("pool_size", size, owner="set_mp_pool", expected="1 or more")
        for reserve in ("reserve_normal", "reserve_high"):
            value = options.get(reserve, 0)
            if not (is_whole(value) and value >= 0):
                raise InvalidOption(reserve, value, owner="set_mp_pool", expected="0 or more")
        refuse_unknown("set_mp_pool", options, PROCESS_OPTIONS)
        process_options = options if size is None else {"size": size, **options}
        # Here, and not at a start, which would be left half done. It starts nothing.
        _new_process_pool("set_mp_pool", process_options)
        self._process_options = process_options
        self.process_stand_in, self._process_pool_made = None, True
        running.drop_processes()
        if running.active:
            self.start_processes(running)

    def start_processes(self, running: RunningPools) -> None:
        """Start the process pool, if one was made, so that its first calls find children there."""
        if self._process_pool_made and self.process_stand_in is None:
            running.make_processes(self._process_options)

    def processes(self, running: RunningPools) -> Any:
        """Return the process pool, started on demand, or what stands in for it."""
        return self.process_stand_in or running.make_processes(self._process_options)
