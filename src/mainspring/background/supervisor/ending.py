"""The steps of a task supervisor's stop that concern its workers, jobs and calls."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from mainspring.background.aloop import Loops, running_loop
from mainspring.background.supervisor.schedulers import SchedulerService
from mainspring.errors import AlreadyRunning

if TYPE_CHECKING:
    from mainspring.background.aloop import ALoop
    from mainspring.background.jobs.scheduler import AsyncJobs
    from mainspring.background.supervisor.life import Life
    from mainspring.background.supervisor.roster import WorkerRoster
    from mainspring.background.supervisor.schedulers import SyncSchedulers


def ask_all(roster: WorkerRoster, jobs: AsyncJobs, life: Life, others: SyncSchedulers) -> None:
    """Ask workers, jobs and schedulers to end, in this order, without waiting."""
    ask_workers(roster)
    jobs.stop()
    ask_jobs(life)
    others.stop()


def ask_workers(roster: WorkerRoster) -> None:
    """Ask every worker to end, the last started first, without waiting."""
    for worker in reversed(roster.all()):
        worker.stop(wait=False)


def ask_those_on(aloop: ALoop, roster: WorkerRoster, jobs: AsyncJobs) -> None:
    """Ask the workers and the jobs of one aloop to end, without waiting."""
    jobs.stop_on(aloop)
    loop = aloop.thread.current_loop
    for worker in reversed(roster.all()):
        if loop is not None and worker.runs_on(loop):
            worker.stop(wait=False)


def ask_jobs(life: Life) -> None:
    """Ask every job and scheduler to end, the last started first."""
    for member in reversed(life.jobs.members):
        member.service.close()


def leave(jobs: AsyncJobs, life: Life) -> None:
    """End jobs, and the loops of schedulers whose `stop` was not called and will not be."""
    jobs.stop()
    for member in reversed(life.jobs.members):
        if isinstance(member.service, SchedulerService):
            member.service.leave()


def cancel_all(life: Life, loops: Loops) -> None:
    """Cancel what waits for a thread, and every coroutine."""
    life.threads.cancel_waiting()
    for aloop in loops.all():
        aloop.thread.cancel_all()


def wait_for_end(life: Life, loops: Loops, roster: WorkerRoster) -> None:
    """Wait for the end that was asked for; raises `AlreadyRunning` where it would never come."""
    if life.core.running and waits_for_itself(life, loops, roster):
        raise AlreadyRunning("supervisor", life.core.name)
    life.core.join()


def awaits_itself(life: Life, loops: Loops, roster: WorkerRoster) -> bool:
    """Whether the calling thread or task is one that it wants to see the end of."""
    here = running_loop()
    own = [aloop.thread.current_loop for aloop in loops.all()]
    if here is not None and here in (life.core.loop, *own):
        return True
    if life.threads.is_mine(threading.current_thread()):
        return True
    return roster.runs_here()


def waits_for_itself(life: Life, loops: Loops, roster: WorkerRoster) -> bool:
    """Whether to block the calling thread would keep from ending what it wants to see the end of.

    So it does on a loop of the user's own that a worker's target is awaited on.
    """
    here = running_loop()
    if here is not None and any(worker.runs_on(here) for worker in roster.all()):
        return True
    return awaits_itself(life, loops, roster)


def ends_here(life: Life, loops: Loops, roster: WorkerRoster) -> bool:
    """Whether it was asked to end, and the calling thread or task is what that waits for."""
    return life.over and awaits_itself(life, loops, roster)
