"""The end of a task supervisor's lives: what is asked in which order, and where one may wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainspring.background.supervisor.schedulers import SchedulerService
from mainspring.errors import AlreadyRunning
from mainspring.supervision.inside import would_wait_for_itself

if TYPE_CHECKING:
    import asyncio

    from mainspring.background.aloop import ALoop, Loops
    from mainspring.background.jobs.scheduler import AsyncJobs
    from mainspring.background.supervisor.running_pools import RunningPools
    from mainspring.background.supervisor.schedulers import SyncSchedulers
    from mainspring.background.supervisor.workers import Workers


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The order in which everything that a supervisor owns is asked to end."""

    workers: Workers
    loops: Loops
    jobs: AsyncJobs
    schedulers: SyncSchedulers

    def announce(self, running: RunningPools) -> None:
        """Announce the end to child processes: a signal to all of them does not mean them, then.

        First, for they wait two seconds for it, and what workers do at a stop may take longer.
        """
        if running.processes is not None:
            running.processes.announce_stop()

    def ask_all(self, running: RunningPools) -> None:
        """Ask workers, jobs and schedulers to end, in this order, without waiting."""
        for worker in reversed(self.workers.active()):
            worker.stop(wait=False)
        self.jobs.stop()
        for member in reversed(running.jobs.members):
            member.service.close()
        self.schedulers.stop()

    def ask_those_on(self, aloop: ALoop, running: RunningPools) -> None:
        """Ask the workers, jobs and schedulers of one aloop to end, without waiting."""
        self.jobs.stop_on(aloop)
        loop = aloop.thread.current_loop
        for worker in reversed(self.workers.active()):
            if loop is not None and worker.event_loop is loop:
                worker.stop(wait=False)
        for member in reversed(running.jobs.members):
            if isinstance(member.service, SchedulerService) and member.service.aloop is aloop:
                member.service.close()

    def leave(self, running: RunningPools) -> None:
        """End jobs, and the loops of schedulers whose `stop` was not called and will not be."""
        self.jobs.stop()
        for member in reversed(running.jobs.members):
            if isinstance(member.service, SchedulerService):
                member.service.leave()

    def cancel_all(self, running: RunningPools) -> None:
        """Cancel what waits for a thread, and every coroutine."""
        running.threads.cancel_waiting()
        for aloop in self.loops.all():
            aloop.thread.cancel_all()

    def wait_for(self, running: RunningPools) -> None:
        """Wait for the end that was asked for.

        Raises `AlreadyRunning` where it would never come.
        """
        if running.core.running and self.would_wait_for_itself(running):
            raise AlreadyRunning("supervisor", running.core.name)
        running.core.join()

    def awaits_caller(self, running: RunningPools) -> bool:
        """Return whether the calling thread or task is one that it wants to see the end of."""
        own = [aloop.thread.current_loop for aloop in self.loops.all()]
        return would_wait_for_itself((running, running.threads), (running.control_loop, *own))

    def would_wait_for_itself(self, running: RunningPools) -> bool:
        """Return whether to block the calling thread would keep it from coming.

        So it does on a loop of the user's own that a worker's target is awaited on.
        """
        loops: list[asyncio.AbstractEventLoop | None] = [
            one.event_loop for one in self.workers.active()
        ]
        return self.awaits_caller(running) or would_wait_for_itself((), tuple(loops))
