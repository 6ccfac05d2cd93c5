"""`TaskSupervisor`: workers, jobs, loops and pools of one program part, under one roof.

A front door: most of what is here delegates to its `RunningPools`, loops, jobs and rosters.
"""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any, Self, TypeVar

from mainspring.background.aloop import ALoop, Loops
from mainspring.background.jobs.job import AsyncJob
from mainspring.background.jobs.scheduler import AsyncJobs, AsyncJobScheduler, launch_in
from mainspring.background.supervisor.info import describe, diagnose
from mainspring.background.supervisor.pending_tasks import LaunchableTask, PendingTasks
from mainspring.background.supervisor.running_pools import PoolSettings, RunningPools
from mainspring.background.supervisor.schedulers import (
    AsyncScheduler,
    SchedulerService,
    SyncScheduler,
    SyncSchedulers,
    unregister,
)
from mainspring.background.supervisor.shutdown import Shutdown
from mainspring.background.supervisor.signals import SignalWait
from mainspring.background.supervisor.task_pools import TaskPool, TaskPools
from mainspring.background.supervisor.workers import NamedWorker, Workers
from mainspring.errors import InvalidOption
from mainspring.supervision.event_bus import EventBus
from mainspring.supervision.forked import reset_in_child
from mainspring.supervision.run_in_thread import in_own_thread
from mainspring.supervision.threads.priority import check_priority

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor, Future

    from mainspring.processes.pool import ProcessPool
    from mainspring.protocols import Subscriber
    from mainspring.supervision.threads.pool import PriorityThreadPool

T = TypeVar("T")
K = TypeVar("K", bound="LaunchableTask")


class TaskSupervisor:
    """Starts, watches and stops background workers, jobs, loops and pools.

    `id` is for the log. `grace` is the seconds that a stop gives to what runs. It can be started
    again after a stop. All methods may be called from any thread.
    """

    def __init__(self, id: str | None = None, *, grace: float = 25.0) -> None:  # noqa: A002  the pages' name
        self.id = id or str(uuid.uuid4())
        self.grace = grace
        self._poll_delay = 0.01
        self._bus = EventBus()
        self._signal_wait = SignalWait(self.id)
        self.workers = Workers()
        self._sync_schedulers = SyncSchedulers()
        self._settings = PoolSettings()
        self._tasks = PendingTasks()
        self._loops = Loops(self.id)
        self._task_pools = TaskPools(self._loops)
        self._jobs = AsyncJobs()
        self._shutdown = Shutdown(self.workers, self._loops, self._jobs, self._sync_schedulers)
        self.reset_after_fork()
        reset_in_child(self)

    def reset_after_fork(self) -> None:
        """Have a life that has not begun; in a forked child, since the parent's is not its own."""
        self._life_lock = threading.RLock()  # never held by what a life's own threads call
        self._running = self._new_pools()

    def __repr__(self) -> str:
        return f"<TaskSupervisor {self.id!r}>"

    @property
    def active(self) -> bool:
        """True if it is started and not about to stop."""
        return self._running.active

    @property
    def running_pools(self) -> RunningPools:
        """Its pools and groups, from a start to the stop."""
        return self._running

    @property
    def threads(self) -> PriorityThreadPool:
        """Its own thread pool."""
        return self._running.threads

    def start(self) -> bool:
        """Start it; False: it was started already. It ends with the main thread.

        Waits for a stop under way; False, too, from what that stop waits for. Raises
        `AlreadyRunning` on a loop of the user's own that it waits for.
        """
        if self.active or self._is_awaited_here():
            return False
        with self._life_lock:
            if self.active:
                return False
            if self._running.over:
                self._shutdown.wait_for(self._running)
                self._running = self._new_pools()
            self._running.begin(self.grace)
            self.threads.resize(self._settings.sizes)
            self._loops.start_again(self._running.loops)
        for scheduler in self._jobs.to_start_again():
            self.start_job_scheduler(scheduler)
        self._task_pools.start(self._running)
        return True

    def stop(
        self,
        wait: float | bool = True,  # noqa: FBT001, FBT002  the pages' signature
        stop_schedulers: bool = True,  # noqa: FBT001, FBT002  the pages' signature
        cancel_tasks: bool = False,  # noqa: FBT001, FBT002  the pages' signature
    ) -> bool:
        """Stop workers, jobs, task pools, loops and pools in turn; return whether all have ended.

        `wait`: True gives its grace to what runs, a number so many seconds, False returns at once.
        After that what runs is cancelled; a thread that is stuck is named in the log and left.
        `stop_schedulers=False` calls no `stop` of workers and schedulers, they just end.
        `cancel_tasks` cancels coroutines and what waits for a thread at once. From one of its own
        loops or targets, or a worker's loop, it only asks.
        """
        core = self._running.core
        if not core.running:
            return core.join(core.time_left())
        if stop_schedulers:
            self._shutdown.ask_all(self._running)
        self._shutdown.leave(self._running)
        self._tasks.cancel_delayed()
        if cancel_tasks:
            self._shutdown.cancel_all(self._running)
        # First, so that whoever sees it stop can't start a worker any more.
        self._running.workers.close()
        core.close(core.grace if isinstance(wait, bool) else float(wait))
        self._signal_wait.release()
        self.workers.drop_failed()
        if wait is False or self._shutdown.would_wait_for_itself(self._running):
            return not core.running
        return core.join(core.time_left())

    def block(self) -> None:
        """Wait until it stops. In the main thread, signals stop it.

        They are SIGTERM, SIGINT, SIGHUP and SIGQUIT; a second one raises KeyboardInterrupt.
        """
        self.start()
        with SignalWait(self.id) as self._signal_wait:
            self._signal_wait.hold(lambda: self.active)
            self.stop()

    async def astart(self) -> bool:
        """Start it from a coroutine."""
        return self.start()

    async def astop(self, wait: float | bool = True) -> bool:  # noqa: FBT001, FBT002  as `stop`
        """Stop it from a coroutine, without blocking its loop; from its own it only asks."""
        if self._shutdown.awaits_caller(self._running):
            return self.stop(wait)
        await in_own_thread(lambda: self.stop(wait), name=f"{self.id}_stop")
        return not self.active

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.astop()

    @property
    def poll_delay(self) -> float:
        """The longest time between two looks of a stop at its deadline; it limits nothing else."""
        return self._poll_delay

    @poll_delay.setter
    def poll_delay(self, seconds: float) -> None:
        if not seconds > 0:
            raise InvalidOption("poll_delay", seconds, owner=self.id, expected="seconds > 0")
        self._poll_delay = seconds

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with events of workers, loops and pools, values of `model.events`."""
        self._bus.subscribe(subscriber)

    def on_worker_failed(self, worker: NamedWorker, error: BaseException) -> None:
        """Be told that a worker gave up by its restart policy; for subclasses, or to be set."""

    def get_info(self) -> dict[str, Any]:
        """Return what it is and does, as a value that serialises to JSON."""
        return describe(self.id, self._running, self.workers, self._task_pools)

    def health(self) -> dict[str, Any]:
        """Return whether it is well, and what is not, for probes."""
        return diagnose(self._running, self.workers, self._task_pools)

    def set_thread_pool(self, **sizes: Any) -> None:
        """Set the sizes of the thread pool, also while it works.

        `pool_size`, `reserve_normal`, `reserve_high`, `min_size` (a number or "max"), `max_size`:
        see `priority.pool_sizes`. Raises `InvalidOption`.
        """
        self._settings.size_threads(self._running, sizes)

    def set_mp_pool(self, pool_size: int | None = None, **options: Any) -> None:
        """Make the process pool: so many children (one a CPU), and options of `ProcessPool`.

        `reserve_normal` and `reserve_high` are further children, as of the thread pool: calls of
        low priority use `pool_size` alone. Raises `InvalidOption`.
        """
        self._settings.set_processes(self._running, pool_size, options)

    @property
    def mp_pool(self) -> ProcessPool:
        """The process pool, made on demand."""
        self.start()
        return self._settings.processes(self._running)

    @property
    def thread_pool(self) -> Executor:
        """The executor that `spawn` submits to; any other may be put in its place."""
        return self._settings.stand_in or self.threads

    @thread_pool.setter
    def thread_pool(self, executor: Executor | None) -> None:
        self._settings.stand_in = executor

    def spawn(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Call a function in the thread pool, at normal priority."""
        if not self._running.active:
            self.start()
        return (self._settings.stand_in or self._running.threads).submit(fn, *args, **kwargs)

    def spawn_at(
        self, priority: int, fn: Callable[..., T], /, *args: Any, **kwargs: Any
    ) -> Future[T]:
        """Call a function in the thread pool; a lower priority number is more urgent."""
        check_priority("spawn_at", priority)
        self.start()
        if self._settings.stand_in is not None:
            return self._settings.stand_in.submit(fn, *args, **kwargs)
        return self.threads.submit_at(priority, fn, *args, **kwargs)

    def create_aloop(
        self,
        name: str,
        default: bool = False,  # noqa: FBT001, FBT002  the pages' signature
        daemon: bool = True,  # noqa: ARG002, FBT001, FBT002  the pages' signature
        start: bool = True,  # noqa: FBT001, FBT002  the pages' signature
    ) -> ALoop:
        """Make an event loop in a thread of its own, and start it. Raises `DuplicateName`.

        `daemon` is accepted: no loop keeps the process from ending after the grace.
        """
        aloop = self._loops.create(name, default=default)
        if start:
            self.start_aloop(name)
        return aloop

    def start_aloop(self, name: str) -> bool:
        """Start a loop; False: it runs already."""
        self.start()
        return self._task_pools.start_loop(name, self._running)

    def stop_aloop(self, name: str, wait: float | bool = True) -> bool:  # noqa: FBT001, FBT002  the pages' signature
        """Stop a loop, its workers, jobs and pools; return whether all that ran on it has ended."""
        self._shutdown.ask_those_on(self._loops.get(name))
        return self._task_pools.stop_loop(name, wait)

    def get_aloop(self, name: str | None = None) -> ALoop:
        """Return a loop by name, or the default one. Raises `InvalidOption`."""
        return self._loops.get(name)

    def set_default_aloop(self, aloop: ALoop | str | None) -> None:
        """Run on this loop what names none."""
        self._loops.set_default(aloop)

    def running_aloop(self, aloop: ALoop | str | None = None) -> ALoop:
        """Return a loop to run something on; its own loop is started on demand."""
        self.start()
        return self._loops.running(aloop, self._running.loops)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the asyncio loop that runs what names no loop."""
        return self.running_aloop().get_loop()

    def background_task(self, coro: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the default loop."""
        return self.running_aloop().spawn_coroutine_threadsafe(coro)

    def add_pool(self, pool: TaskPool, loop: ALoop | str | None = None) -> None:
        """Run a task pool on an aloop (None: the default) whenever it is started itself.

        Raises `AlreadyRunning`, `DuplicateName`, `InvalidOption`.
        """
        self._task_pools.add(pool, loop, self._running)

    def remove_pool(self, pool: TaskPool) -> bool:
        """Stop a task pool and forget it; return whether it was known."""
        return self._task_pools.drop(pool)

    def register_scheduler(self, scheduler: AsyncScheduler) -> None:
        """Run the `loop` coroutine of a scheduler, and call its `stop` at the end."""
        self._running.jobs.launch(SchedulerService(scheduler, self.running_aloop()))

    def unregister_scheduler(self, scheduler: AsyncScheduler) -> bool:
        """Stop a scheduler; return whether it was registered."""
        return unregister(scheduler, self._running.jobs)

    def register_sync_scheduler(self, scheduler: SyncScheduler) -> None:
        """Call the `stop` of a scheduler at the end."""
        self._sync_schedulers.add(scheduler)

    def unregister_sync_scheduler(self, scheduler: SyncScheduler) -> bool:
        """Forget a scheduler; return whether it was registered."""
        return self._sync_schedulers.drop(scheduler)

    def create_async_job_scheduler(
        self,
        name: str,
        aloop: ALoop | str | None = None,
        start: bool = True,  # noqa: FBT001, FBT002  the pages' signature
        default: bool = False,  # noqa: FBT001, FBT002  the pages' signature
    ) -> AsyncJobScheduler:
        """Make a scheduler on an aloop; the first is the default. Raises `DuplicateName`."""
        scheduler = self._jobs.create(name, aloop, default=default)
        if start:
            self.start_job_scheduler(scheduler)
        return scheduler

    def start_job_scheduler(self, scheduler: AsyncJobScheduler) -> None:
        """Start a scheduler that was made with `start=False`."""
        aloop = self.running_aloop(scheduler.aloop)
        scheduler.start(launch_in(self._running.jobs, aloop, self.threads))

    def create_async_job(  # noqa: PLR0913  the pages' options
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        interval: float = 1.0,
        number: int | None = None,
        timer: float = 0.0,
        scheduler: AsyncJobScheduler | str | None = None,
    ) -> AsyncJob:
        """Run a target every `interval` seconds, `number` times (None: for ever).

        The first run comes after `timer` seconds. Runs of one job never overlap. Raises
        `InvalidOption`, `NotRunning` without a scheduler.
        """
        job = AsyncJob(target, args, kwargs or {}, interval=interval, number=number, timer=timer)
        return self._jobs.get(scheduler).add(job)

    def cancel_async_job(
        self, job: AsyncJob, scheduler: AsyncJobScheduler | str | None = None
    ) -> bool:
        """Run a job no more; return whether it was known."""
        return self._jobs.drop(job, scheduler)

    def put_task(self, task: K) -> K:
        """Start a task; see `background_task`."""
        self.start()
        self._tasks.launch(task, self)
        return task

    def get_task(self, task_id: str) -> LaunchableTask | None:
        """Return a task that has not ended, by its id."""
        return self._tasks.get(task_id)

    def _is_awaited_here(self) -> bool:
        return self._running.over and self._shutdown.awaits_caller(self._running)

    def _new_pools(self) -> RunningPools:
        publish, loops = self._bus.publish, self._loops.threads
        return RunningPools(self.id, sizes=self._settings.sizes, loops=loops, publish=publish)


task_supervisor = TaskSupervisor("supervisor")
"""The supervisor of those who name none; it is started when first needed."""
