"""Jobs, queues, nodes and locks as views read them, each by one script."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from mainspring.model.job import JobState
from mainspring.model.time_series import SeriesPage
from mainspring.model.view import LaneRecord, LockRecord
from mainspring.stores.clock import MICROS, as_datetime
from mainspring.stores.job_id import parse_id
from mainspring.stores.ownership import leaves_nothing
from mainspring.stores.redis import listing
from mainspring.stores.redis.records import attempt_of, end_of, line_of, node_of, record_of
from mainspring.stores.rules.time_series import entry_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.job import Ended
    from mainspring.model.note import LogLine
    from mainspring.model.view import AttemptRecord, JobFilter, JobRecord, NodeRecord, SearchPage


@leaves_nothing
class RedisCatalog(ABC):
    """Read access to what a Redis store holds. Implements Catalog."""

    def get(self, job_id: str) -> JobRecord | None:
        """Return the job as it is now, or None if there is none (any more)."""
        row = self._run("get", sound(job_id))
        return record_of(row) if row else None

    def history(self, job_id: str) -> list[AttemptRecord]:
        """Return every attempt, oldest first; empty for an unknown id."""
        return [attempt_of(row) for row in self._run("history", sound(job_id))]

    def log(self, job_id: str) -> list[LogLine]:
        """Return the lines that the job's bodies logged, oldest first."""
        return [line_of(row) for row in self._run("log", sound(job_id))]

    def ended(self, job_ids: Sequence[str]) -> dict[str, Ended]:
        """Return how those of the given jobs ended that have ended."""
        return {row[0]: end_of(row) for row in self._run("ended", list(map(sound, job_ids)))}

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
        order = listing.OLDEST if oldest_first else listing.NEWEST
        return listing.jobs(self._run, wanted, before=before, limit=limit, skip=skip, order=order)

    def search(
        self, wanted: JobFilter, *, before: int | None = None, limit: int = 100, most: int
    ) -> SearchPage:
        """Return what `jobs` does among the first `most` jobs that it looks through."""
        return listing.search(self._run, wanted, before=before, limit=limit, most=most)

    def stats(self) -> dict[str, dict[str, int]]:
        """Return the number of jobs by queue and state."""
        counts: dict[str, dict[str, int]] = {}
        for queue, _, *numbers, _scheduled, _since in self._run("stats"):
            of_queue = counts.setdefault(queue, {state.value: 0 for state in JobState})
            for state, jobs in zip(JobState, numbers, strict=True):
                of_queue[state.value] += jobs
        return counts

    def lanes(self) -> list[LaneRecord]:
        """Return each task of each queue, with the number of its jobs that wait."""
        rows = sorted(self._run("stats"))
        return [
            LaneRecord(queue, task, pending, scheduled, None if age < 0 else age / MICROS)
            for queue, task, pending, *_, scheduled, age in rows
        ]

    def paused(self) -> list[str]:
        """Return the names of the paused queues, in order."""
        return sorted(self._run("paused"))

    def nodes(self) -> list[NodeRecord]:
        """Return the nodes that have joined and not left."""
        now, rows = self._run("nodes")
        return [node_of(row, now) for row in sorted(rows)]

    def running_by_node(self) -> dict[int, dict[str, int]]:
        """Return how many jobs of each task each node holds."""
        found: dict[int, dict[str, int]] = {}
        for node, task in self._run("running"):
            by_task = found.setdefault(node, {})
            by_task[task] = by_task.get(task, 0) + 1
        return found

    def locks(self) -> list[LockRecord]:
        """Return the locks that are held, by name."""
        return [LockRecord(*row) for row in sorted(self._run("held_locks"))]

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
        ages = int(newer_than * MICROS), int(older_than * MICROS)
        place = False if before is None else before
        now, rows = self._run("entries", kind, *ages, place, limit)
        found = [entry for row in rows if (entry := entry_of(*row)) is not None]
        return SeriesPage(as_datetime(now), found)

    @abstractmethod
    def _run(self, name: str, *request: object, again: bool = True) -> Any:
        """Run a script and return its answer."""
        ...


def sound(job_id: str) -> str:
    """Return an id as a script may read it: nothing for one that no store gave."""
    return "" if parse_id(job_id) is None else job_id
