"""The waiting lines: jobs of one task in one queue, ready or delayed."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from mainspring.model.crash import is_suspect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mainspring.model.job import Want
    from mainspring.stores.memory.job import Job

Place = tuple[int, int, int]
"""Priority, run_at and key: what a job's turn goes by."""

Entry = tuple[int, int, int, "Job"]
"""A job in a heap. It is stale, and passed over, once the job has another place or none."""

MANY = 64
"""Most stale entries of any line; of a longer line, no more than half of it."""


class Lane:
    """One line."""

    __slots__ = ("_stale", "delayed", "ready")

    def __init__(self) -> None:
        self.ready: list[Entry] = []
        self.delayed: list[Entry] = []
        self._stale = 0

    def add(self, job: Job) -> bool:
        """Add a job; return whether a sleeper should know of it."""
        if job.delayed:
            entry = (job.run_at, job.key, 0, job)
            job.place = entry
            heappush(self.delayed, entry)
            return self._first(self.delayed) is job
        job.place = entry = (job.priority, job.run_at, job.key, job)
        heappush(self.ready, entry)
        return True

    def remove(self, job: Job) -> None:
        """Remove a job."""
        job.place = None
        self._stale += 1
        if self._stale > MANY and self._stale * 2 > len(self.ready) + len(self.delayed):
            self.ready = [entry for entry in self.ready if entry[3].place is entry]
            self.delayed = [entry for entry in self.delayed if entry[3].place is entry]
            heapify(self.ready)
            heapify(self.delayed)
            self._stale = 0

    def promote(self, now: int) -> int | None:
        """Make the delayed jobs that are due ready; return when the next is due."""
        while (job := self._first(self.delayed)) is not None and job.run_at <= now:
            heappop(self.delayed)
            job.delayed = False
            self.add(job)
        return self.delayed[0][0] if self.delayed else None

    def head(self) -> Place | None:
        """Return the place of the first ready job; None if there is none."""
        return None if self._first(self.ready) is None else self.ready[0][:3]

    def pop(self) -> Job:
        """Remove and return the first ready job; call `head` before."""
        job = heappop(self.ready)[3]
        job.place = None
        return job

    def _first(self, heap: list[Entry]) -> Job | None:
        while heap and heap[0][3].place is not heap[0]:
            heappop(heap)
            self._stale -= 1
        return heap[0][3] if heap else None


class MemoryLanes:
    """All lines, by queue and task."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._matching: dict[tuple[tuple[str, ...], tuple[str, ...] | None], list[Lane]] = {}
        self.paused: set[str] = set()

    def emptied(self) -> MemoryLanes:
        """Return lines without jobs, of which the same are paused."""
        lanes = MemoryLanes()
        lanes.paused = self.paused
        return lanes

    def of(self, job: Job) -> Lane:
        """Return the line of a job's task in its queue."""
        name = job.queue, job.task
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane()
            self._matching = {}
        return lane

    def pause(self, queue: str) -> bool:
        """Serve nobody from a queue; False if it was paused already."""
        if queue in self.paused:
            return False
        self.paused.add(queue)
        self._matching = {}
        return True

    def resume(self, queue: str) -> bool:
        """Serve from a queue again; False if it was not paused."""
        if queue not in self.paused:
            return False
        self.paused.remove(queue)
        self._matching = {}
        return True

    def matching(self, want: Want) -> list[Lane]:
        """Return the lines a want may be served from."""
        asked = want.tasks, want.queues
        if asked not in self._matching:
            self._matching[asked] = [
                lane
                for (queue, task), lane in self._lanes.items()
                if task in want.tasks
                and (want.queues is None or queue in want.queues)
                and queue not in self.paused
            ]
        return self._matching[asked]


def promote(lanes: Iterable[Lane], now: int) -> int | None:
    """Make what is due ready in all of the lines; return when the next delayed job is due."""
    due = [run_at for lane in lanes if (run_at := lane.promote(now)) is not None]
    return min(due, default=None)


def take(lanes: Sequence[Lane], limit: int, suspects: int | None = None) -> list[Job]:
    """Remove and return up to `limit` ready jobs, in order; at most so many suspects."""
    heads = [
        (*place, number) for number, lane in enumerate(lanes) if (place := lane.head()) is not None
    ]
    heapify(heads)
    taken: list[Job] = []
    passed_over: list[tuple[Lane, Job]] = []
    left = limit if suspects is None else suspects
    while heads and len(taken) < limit:
        number = heappop(heads)[3]
        job = lanes[number].pop()
        suspect = is_suspect(job.crashes)
        if suspect and not left:
            passed_over.append((lanes[number], job))
        else:
            taken.append(job)
            left -= suspect
        if (place := lanes[number].head()) is not None:
            heappush(heads, (*place, number))
    for lane, job in passed_over:
        lane.add(job)
    return taken
