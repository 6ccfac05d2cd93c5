"""The end of a task supervisor's lives: who is asked, in which order, and who may wait for it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Ending:
    """What outlasts a supervisor's lives, and has a part in the end of each."""

    roster: WorkerRoster
    loops: Loops
    jobs: AsyncJobs
    schedulers: SyncSchedulers

    def ask_all(self, life: Life) -> None:
        """Ask workers, jobs and schedulers to end, in this order, without waiting."""
        for worker in reversed(self.roster.all()):
            worker.stop(wait=False)
        self.jobs.stop()
        for member in reversed(life.jobs.members):
            member.service.close()
        self.schedulers.stop()

    def ask_those_on(self, aloop: ALoop) -> None:
        """Ask the workers and the jobs of one aloop to end, without waiting."""
        self.jobs.stop_on(aloop)
        loop = aloop.thread.current_loop
        for worker in reversed(self.roster.all()):
            if loop is not None and worker.runs_on(loop):
                worker.stop(wait=False)

    def leave(self, life: Life) -> None:
        """End jobs, and the loops of schedulers whose `stop` was not called and will not be."""
        if life.processes is not None:
            life.processes.announce_stop()
        self.jobs.stop()
        for member in reversed(life.jobs.members):
            if isinstance(member.service, SchedulerService):
                member.service.leave()

    def cancel_all(self, life: Life) -> None:
        """Cancel what waits for a thread, and every coroutine."""
        life.threads.cancel_waiting()
        for aloop in self.loops.all():
            aloop.thread.cancel_all()

    def wait_for(self, life: Life) -> None:
        """Wait for the end that was asked for.

        Raises `AlreadyRunning` where it would never come.
        """
        if life.core.running and self.waits_for_itself(life):
            raise AlreadyRunning("supervisor", life.core.name)
        life.core.join()

    def is_awaited_here(self, life: Life) -> bool:
        """Whether it was asked for, and the calling thread or task is what it waits for."""
        return life.over and self.awaits_itself(life)

    def awaits_itself(self, life: Life) -> bool:
        """Whether the calling thread or task is one that it wants to see the end of."""
        here = running_loop()
        own = [aloop.thread.current_loop for aloop in self.loops.all()]
        if here is not None and here in (life.core.loop, *own):
            return True
        if life.threads.is_mine(threading.current_thread()):
            return True
        return self.roster.runs_here()

    def waits_for_itself(self, life: Life) -> bool:
        """Whether to block the calling thread would keep it from coming.

        So it does on a loop of the user's own that a worker's target is awaited on.
        """
        here = running_loop()
        if here is not None and any(worker.runs_on(here) for worker in self.roster.all()):
            return True
        return self.awaits_itself(life)
