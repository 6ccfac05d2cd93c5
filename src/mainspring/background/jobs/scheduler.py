"""Job schedulers: jobs on one aloop each, and those of one supervisor by name."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mainspring.background.jobs.job import AsyncJob
from mainspring.background.registry import OwnedRegistry
from mainspring.errors import InvalidOption, NotRunning
from mainspring.model.options import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.background.aloop import ALoop
    from mainspring.supervision.supervisor.member import Member
    from mainspring.supervision.supervisor.supervisor import Supervisor
    from mainspring.supervision.threads.pool import PriorityThreadPool


JOB_OPTIONS = ("target", "args", "kwargs", "interval", "number", "timer", "scheduler")


class AsyncJobScheduler:
    """Jobs on one aloop; those created before its start wait for it."""

    def __init__(self, name: str, aloop: ALoop | str | None) -> None:
        self.name = name
        self.aloop = aloop
        self.jobs: list[AsyncJob] = []
        self.active = False
        self.wanted = False
        self._lives_on: ALoop | None = None
        self._launch: Callable[[AsyncJob], Member] | None = None
        self._lock = threading.RLock()

    def start(self, launch: Callable[[AsyncJob], Member], aloop: ALoop) -> None:
        """Run the jobs on the aloop, unless it does; `launch` starts one."""
        with self._lock:
            if self.active:
                return
            self._lives_on = aloop
            self._launch, self.active, self.wanted = launch, True, True
            for job in tuple(self.jobs):
                self._begin(job, launch)

    def reset_after_fork(self) -> None:
        """In a forked child: the jobs are the parent's."""
        self._launch, self.active, self.jobs = None, False, []
        self._lock = threading.RLock()

    def stop(self) -> None:
        """Run no job any more."""
        with self._lock:
            self._launch, self.active = None, False
            for job in self.jobs:
                job.cancel()
            self.jobs.clear()

    def belongs_on(self, aloop: ALoop) -> bool:
        """Return whether it runs on that aloop, or is to."""
        return self.aloop in (aloop, aloop.name) or (self.active and self._lives_on is aloop)

    def add(self, job: AsyncJob) -> AsyncJob:
        """Run a job, once the scheduler is started."""
        with self._lock:
            self.jobs.append(job)
            if self._launch is not None:
                self._begin(job, self._launch)
        return job

    def drop(self, job: AsyncJob) -> bool:
        """Cancel a job; return whether it was one of this scheduler."""
        with self._lock:
            if job not in self.jobs:
                return False
            self.jobs.remove(job)
        job.cancel()
        return True

    def _begin(self, job: AsyncJob, launch: Callable[[AsyncJob], Member]) -> None:
        job.member = launch(job)
        job.member.ended.add_done_callback(lambda _: self._forget(job))

    def _forget(self, job: AsyncJob) -> None:
        with self._lock, suppress(ValueError):
            self.jobs.remove(job)


class AsyncJobs:
    """The job schedulers of one supervisor."""

    def __init__(self) -> None:
        self._schedulers: OwnedRegistry[AsyncJobScheduler] = OwnedRegistry(
            "job scheduler", inherited=True
        )
        self._default: AsyncJobScheduler | None = None

    def stop_on(self, aloop: ALoop) -> None:
        """Stop the schedulers of this aloop."""
        for scheduler in self.all():
            if scheduler.belongs_on(aloop):
                scheduler.stop()
                scheduler.wanted = False

    def create(self, name: str, aloop: ALoop | str | None, *, default: bool) -> AsyncJobScheduler:
        """Make a scheduler; the first one is the default, too. Raises `DuplicateName`."""
        scheduler = AsyncJobScheduler(name, aloop)
        self._schedulers.add(name, scheduler)
        if default or self._default is None:
            self._default = scheduler
        return scheduler

    def get(self, scheduler: AsyncJobScheduler | str | None = None) -> AsyncJobScheduler:
        """Return a scheduler by name, or the default; raises `NotRunning`, `InvalidOption`."""
        if isinstance(scheduler, AsyncJobScheduler):
            return scheduler
        if scheduler is None:
            if self._default is None:
                raise NotRunning("there is no job scheduler; call create_async_job_scheduler first")
            return self._default
        found = self._schedulers.get(scheduler)
        if found is None:
            expected = f"one that was created: {self._schedulers.names()}"
            raise InvalidOption("scheduler", scheduler, owner="create_async_job", expected=expected)
        return found

    @property
    def default(self) -> AsyncJobScheduler | None:
        """The scheduler of the jobs that name none."""
        return self._default

    @default.setter
    def default(self, scheduler: AsyncJobScheduler) -> None:
        self._default = scheduler

    def create_job(self, *first: Any, **options: Any) -> AsyncJob:
        """Make a job and run it; its target or its scheduler may come first.

        Nothing is taken before all is checked. Raises as `AsyncJob` and `get` do, `UnknownOption`.
        """
        places: tuple[str, ...] = ("target", "args", "kwargs")
        if first and (first[0] is None or isinstance(first[0], AsyncJobScheduler | str)):
            places = ("scheduler", *places)
        named = {**dict(zip(places, first, strict=False)), **options}
        if len(named) < len(first) + len(options):
            raise TypeError(f"create_async_job takes {', '.join(places)} by place, and each once")
        refuse_unknown("create_async_job", named, JOB_OPTIONS)
        scheduler = self.get(named.pop("scheduler", None))
        target, args = named.pop("target", None), named.pop("args", None) or ()
        return scheduler.add(AsyncJob(target, args, named.pop("kwargs", None) or {}, **named))

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return each scheduler by name: whether it is active, and how many jobs it has."""
        return {one.name: {"active": one.active, "jobs": len(one.jobs)} for one in self.all()}

    def drop(self, job: AsyncJob, scheduler: AsyncJobScheduler | str | None = None) -> bool:
        """Cancel a job of this scheduler, or of any; return whether it was known."""
        schedulers = self.all() if scheduler is None else [self.get(scheduler)]
        return any(one.drop(job) for one in schedulers)

    def to_start_again(self) -> list[AsyncJobScheduler]:
        """Return those that were started, and stopped with their supervisor."""
        return [one for one in self.all() if one.wanted and not one.active]

    def stop(self) -> None:
        """Stop every scheduler, the last made first."""
        for scheduler in reversed(self.all()):
            scheduler.stop()

    def all(self) -> list[AsyncJobScheduler]:
        """Return every scheduler."""
        return self._schedulers.all()


def launch_in(
    group: Supervisor, aloop: ALoop, pool: PriorityThreadPool
) -> Callable[[AsyncJob], Member]:
    """Return what starts a job in a group."""
    return lambda job: group.launch(job.make_worker(aloop, pool))
