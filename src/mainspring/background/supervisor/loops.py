"""The loops of a supervisor, the schedulers that run on them, and their jobs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar, overload

from mainspring.background.aloop import ALoop, Loops
from mainspring.background.jobs.job import AsyncJob
from mainspring.background.jobs.scheduler import AsyncJobs, AsyncJobScheduler, launch_in
from mainspring.background.registry import OwnedRegistry
from mainspring.background.supervisor.calls import SupervisorCalls
from mainspring.background.supervisor.schedulers import (
    AsyncScheduler,
    SchedulerService,
    SyncScheduler,
    SyncSchedulers,
    name_of,
    schedulers_of,
    service_of,
    unregister,
)
from mainspring.background.supervisor.shutdown import Shutdown
from mainspring.background.supervisor.task_pools import TaskPools
from mainspring.background.supervisor.workers import Workers
from mainspring.supervision.loops.thread_calls import ThreadCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from concurrent.futures import Future

T = TypeVar("T")


class SupervisorLoops(SupervisorCalls):
    """Loops, schedulers and jobs. Part of `TaskSupervisor`, which starts and stops it."""

    def __init__(self, name: str) -> None:
        self.workers = Workers()
        self._sync_schedulers = SyncSchedulers()
        self._loops = Loops(name)
        self._task_pools = TaskPools(self._loops)
        self._jobs = AsyncJobs()
        self._shutdown = Shutdown(self.workers, self._loops, self._jobs, self._sync_schedulers)
        super().__init__()

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

    def stop_aloop(
        self,
        name: str,
        wait: float | bool = True,  # noqa: FBT001, FBT002  the pages' signature
        cancel_tasks: bool = False,  # noqa: FBT001, FBT002  as above
    ) -> bool:
        """Stop a loop, its workers, jobs, schedulers and pools; return whether all has ended.

        `cancel_tasks` cancels what runs on it at once.
        """
        aloop = self._loops.get(name)
        self._shutdown.ask_those_on(aloop, self._running)
        if cancel_tasks:
            aloop.thread.cancel_all()
        return self._task_pools.stop_loop(name, wait)

    def get_aloop(self, name: str | None = None) -> ALoop:
        """Return a loop by name, or the default one. Raises `InvalidOption`."""
        return self._loops.get(name)

    def get_aloops(self) -> dict[str, ALoop]:
        """Return the loops that were created, by name."""
        return self._loops.created()

    @property
    def aloops(self) -> dict[str, ALoop]:
        """The loops that were created, by name."""
        return self._loops.created()

    @property
    def default_aloop(self) -> ALoop | None:
        """The loop of what names none; None: its own."""
        return self._loops.default

    @default_aloop.setter
    def default_aloop(self, aloop: ALoop | str | None) -> None:
        self.set_default_aloop(aloop)

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

    def register_scheduler(self, scheduler: AsyncScheduler) -> bool:
        """Run the `loop` coroutine of a scheduler, and call its `stop` at the end.

        On its `worker_loop` if it has one, and else on the default loop. False: it runs already.
        """
        if service_of(scheduler, self._running.jobs) is not None:
            return False
        service = SchedulerService(scheduler)
        given = getattr(scheduler, "worker_loop", None)
        if isinstance(given, asyncio.AbstractEventLoop):
            self.start()
            service.spawn = ThreadCalls(given).submit
        else:
            service.aloop = self.running_aloop()
            service.spawn = service.aloop.spawn_coroutine_threadsafe
        self._running.jobs.launch(service)
        return True

    def register_async_scheduler(self, scheduler: AsyncScheduler) -> bool:
        """Register a scheduler; another name of `register_scheduler`."""
        return self.register_scheduler(scheduler)

    def unregister_scheduler(self, scheduler: AsyncScheduler | SyncScheduler) -> bool:
        """Stop a scheduler, or forget one that is sync; return whether it was registered."""
        return unregister(scheduler, self._running.jobs) or self._sync_schedulers.drop(scheduler)

    def get_schedulers(self) -> dict[str, Any]:
        """Return workers and registered schedulers by name; the second of one is `name-2`."""
        own = self.workers.active()
        named: OwnedRegistry[Any] = OwnedRegistry("scheduler")
        for one in (*own, *schedulers_of(self._running.jobs), *self._sync_schedulers.all()):
            named.add_numbered(name_of(one), one)
        return named.by_name()

    def register_sync_scheduler(self, scheduler: SyncScheduler) -> bool:
        """Call the `stop` of a scheduler at the end."""
        self._sync_schedulers.add(scheduler)
        return True

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
        if isinstance(aloop, str):
            self._loops.get(aloop)  # before the name is taken
        scheduler = self._jobs.create(name, aloop, default=default)
        if start:
            self.start_job_scheduler(scheduler)
        return scheduler

    def start_job_scheduler(self, scheduler: AsyncJobScheduler) -> None:
        """Start a scheduler that was made with `start=False`."""
        aloop = self.running_aloop(scheduler.aloop)
        scheduler.start(launch_in(self._running.jobs, aloop, self.threads), aloop)

    def set_default_async_job_scheduler(self, scheduler: AsyncJobScheduler | str) -> None:
        """Have the jobs that name no scheduler in this one. Raises `InvalidOption`."""
        self._jobs.default = self._jobs.get(scheduler)

    @overload
    def create_async_job(
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> AsyncJob: ...
    @overload
    def create_async_job(
        self, scheduler: AsyncJobScheduler | str | None = None, **options: Any
    ) -> AsyncJob: ...
    def create_async_job(self, *first: Any, **options: Any) -> AsyncJob:
        """Run a target every `interval` seconds, `number` times (None: for ever).

        `target`, `args`, `kwargs` say what to call; the first run comes after `timer` seconds.
        The scheduler is the default one, or `scheduler=`, which may also come first. Runs of one
        job never overlap. Raises `InvalidOption`, `UnknownOption`, `NotRunning` without a
        scheduler.
        """
        return self._jobs.create_job(*first, **options)

    def cancel_async_job(self, *first: Any, job: Any = None, scheduler: Any = None) -> bool:
        """Run a job no more; return whether it was known.

        `job`, and the scheduler to look in (None: all), in any order.
        """
        given = [one for one in (*first, job, scheduler) if one is not None]
        jobs = [one for one in given if isinstance(one, AsyncJob)]
        where = [one for one in given if not isinstance(one, AsyncJob)]
        return bool(jobs) and self._jobs.drop(jobs[0], where[0] if where else None)
