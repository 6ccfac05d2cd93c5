"""The waiting lines: jobs of one task in one queue, ready or delayed."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mainspring.model.job import Want
    from mainspring.stores.memory.job import Job

Place = tuple[int, int, int]
"""Priority, run_at and key: what a job's turn goes by."""


class Lane:
    """One line. Both heaps hold what waits and nothing else."""

    __slots__ = ("delayed", "ready")

    def __init__(self) -> None:
        self.ready: list[tuple[Place, Job]] = []
        self.delayed: list[tuple[int, int, Job]] = []

    def add(self, job: Job) -> bool:
        """Let a job wait; return whether somebody who sleeps should know of it."""
        if job.delayed:
            heappush(self.delayed, (job.run_at, job.key, job))
            return self.delayed[0][2] is job
        heappush(self.ready, ((job.priority, job.run_at, job.key), job))
        return True

    def promote(self, now: int) -> int | None:
        """Make the delayed jobs that are due ready; return when the next is due."""
        while self.delayed and self.delayed[0][0] <= now:
            job = heappop(self.delayed)[2]
            job.delayed = False
            heappush(self.ready, ((job.priority, job.run_at, job.key), job))
        return self.delayed[0][0] if self.delayed else None


class Lanes:
    """All lines, by queue and task."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._matching: dict[tuple[tuple[str, ...], tuple[str, ...] | None], list[Lane]] = {}

    def of(self, queue: str, task: str) -> Lane:
        """Return the line of a task in a queue."""
        lane = self._lanes.get((queue, task))
        if lane is None:
            lane = self._lanes[queue, task] = Lane()
            self._matching = {}
        return lane

    def matching(self, want: Want) -> list[Lane]:
        """Return the lines a want may be served from."""
        asked = want.tasks, want.queues
        if asked not in self._matching:
            self._matching[asked] = [
                lane
                for (queue, task), lane in self._lanes.items()
                if task in want.tasks and (want.queues is None or queue in want.queues)
            ]
        return self._matching[asked]


def promote(lanes: Iterable[Lane], now: int) -> int | None:
    """Make what is due ready in all of the lines; return when the next delayed job is due."""
    due = [run_at for lane in lanes if (run_at := lane.promote(now)) is not None]
    return min(due, default=None)


def take(lanes: Sequence[Lane], limit: int) -> list[Job]:
    """Take up to `limit` ready jobs out of the lines, in order."""
    heads = [(*lane.ready[0][0], number) for number, lane in enumerate(lanes) if lane.ready]
    heapify(heads)
    taken: list[Job] = []
    while heads and len(taken) < limit:
        number = heappop(heads)[3]
        ready = lanes[number].ready
        taken.append(heappop(ready)[1])
        if ready:
            heappush(heads, (*ready[0][0], number))
    return taken
