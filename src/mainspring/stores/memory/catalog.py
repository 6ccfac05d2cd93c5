"""Jobs, queues, nodes and locks as views read them."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from mainspring.model.job import FINAL, JobState
from mainspring.model.view import LaneRecord
from mainspring.stores.clock import MICROS, Moment
from mainspring.stores.ownership import leaves_nothing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from threading import RLock

    from mainspring.model.job import Ended
    from mainspring.model.note import LogLine
    from mainspring.model.time_series import SeriesPage
    from mainspring.model.view import (
        AttemptRecord,
        JobFilter,
        JobRecord,
        LockRecord,
        NodeRecord,
        SearchPage,
    )
    from mainspring.stores.clock import Clock
    from mainspring.stores.memory.change import LiveNode
    from mainspring.stores.memory.job import Job
    from mainspring.stores.memory.ledger import Ledger
    from mainspring.stores.memory.locks import MemoryLocks
    from mainspring.stores.memory.time_series import MemorySeries


@leaves_nothing
class MemoryCatalog:
    """Read access to what a memory store holds, under its lock. Implements Catalog."""

    _lock: RLock
    _clock: Clock
    _ledger: Ledger
    _nodes: dict[int, LiveNode]
    _locks: MemoryLocks
    _series: MemorySeries

    def get(self, job_id: str) -> JobRecord | None:
        """Return the job as it is now, or None if there is none (any more)."""
        with self._lock:
            job = self._ledger.find(job_id)
            return job.record() if job else None

    def history(self, job_id: str) -> list[AttemptRecord]:
        """Return every attempt, oldest first; empty for an unknown id."""
        with self._lock:
            job = self._ledger.find(job_id)
            return job.history() if job else []

    def log(self, job_id: str) -> list[LogLine]:
        """Return the lines that the job's bodies logged, oldest first."""
        with self._lock:
            job = self._ledger.find(job_id)
            return list(job.log) if job else []

    def ended(self, job_ids: Sequence[str]) -> dict[str, Ended]:
        """Return how those of the given jobs ended that have ended."""
        with self._lock:
            found = {job_id: self._ledger.find(job_id) for job_id in job_ids}
            return {key: job.ended() for key, job in found.items() if job and job.state in FINAL}

    def jobs(
        self,
        wanted: JobFilter,
        *,
        before: int | None = None,
        limit: int = 100,
        skip: int = 0,
        oldest_first: bool = False,
    ) -> list[JobRecord]:
        """Return up to `limit` jobs, newest first or oldest first."""
        with self._lock:
            found = self._ledger.matching(wanted, before, oldest_first=oldest_first)
            return [job.record() for job in islice(found, skip, skip + limit)]

    def search(
        self, wanted: JobFilter, *, before: int | None = None, limit: int = 100, most: int
    ) -> SearchPage:
        """Return what `jobs` does among the first `most` jobs that it looks through."""
        with self._lock:
            return self._ledger.search(wanted, before, limit, most)

    def stats(self) -> dict[str, dict[str, int]]:
        """Return the number of jobs by queue and state."""
        with self._lock:
            return _by_queue_and_state(self._ledger.jobs.values())

    def lanes(self) -> list[LaneRecord]:
        """Return each task of each queue, with the number of its jobs that wait."""
        with self._lock:
            now = Moment(self._clock).micros
            return _waiting_by_lane(self._ledger.jobs.values(), now)

    def paused(self) -> list[str]:
        """Return the names of the paused queues, in order."""
        with self._lock:
            return sorted(self._ledger.lanes.paused)

    def nodes(self) -> list[NodeRecord]:
        """Return the nodes that have joined and not left."""
        with self._lock:
            now = Moment(self._clock).micros
            return [node.record(key, now) for key, node in self._nodes.items()]

    def running_by_node(self) -> dict[int, dict[str, int]]:
        """Return how many jobs of each task each node holds."""
        with self._lock:
            return {
                key: dict(Counter(job.task for job in node.held.values()))
                for key, node in self._nodes.items()
            }

    def entries(
        self,
        kind: str,
        *,
        newer_than: float,
        older_than: float = 0.0,
        before: int | None = None,
        limit: int,
    ) -> SeriesPage:
        """Return up to `limit` entries of these ages, newest first."""
        with self._lock:
            moment = Moment(self._clock)
            ages = newer_than, older_than
            return self._series.entries(kind, ages, before, limit, moment)

    def locks(self) -> list[LockRecord]:
        """Return the locks that are held, by name."""
        with self._lock:
            return self._locks.all()


def _by_queue_and_state(jobs: Iterable[Job]) -> dict[str, dict[str, int]]:
    """Return the number of jobs by queue and state."""
    counts: dict[str, dict[str, int]] = {}
    for job in jobs:
        of_queue = counts.setdefault(job.queue, {state.value: 0 for state in JobState})
        of_queue[job.state.value] += 1
    return counts


def _waiting_by_lane(jobs: Iterable[Job], now: int) -> list[LaneRecord]:
    """Return each task of each queue, with its jobs that wait; `now` is stored time."""
    waiting: dict[tuple[str, str], list[int]] = {}
    for job in jobs:
        since = waiting.setdefault((job.queue, job.task), [])
        if job.state is JobState.PENDING:
            since.append(job.run_at)
    return [_lane_record(name, since, now) for name, since in sorted(waiting.items())]


def _lane_record(name: tuple[str, str], waiting: Sequence[int], now: int) -> LaneRecord:
    ready = [run_at for run_at in waiting if run_at <= now]
    oldest = (now - min(ready)) / MICROS if ready else None
    return LaneRecord(*name, len(waiting), len(waiting) - len(ready), oldest)
