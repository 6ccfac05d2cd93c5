"""The private store of a test: that of memory, and jobs in transactions of the test's database."""

from __future__ import annotations

from heapq import heappush
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from mainspring.model.view import JobFilter
from mainspring.queue.kit.marks import Marks, marks_on
from mainspring.stores.clock import Moment
from mainspring.stores.memory.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.job import Ended, Exchanged, Grant, NewJob, Outcome, Want
    from mainspring.model.note import Note
    from mainspring.model.view import JobRecord
    from mainspring.queue.kit.clock import MovedClock
    from mainspring.stores.clock import Clock

FIRST = -(2**64)
"""In the place of a priority: more urgent than any."""


class PrivateStore(MemoryStore):
    """Implements JobStore and Transactional. What a rollback has taken is gone at the next look."""

    def __init__(self, *, clock: Clock) -> None:
        super().__init__(clock=clock)
        # A connection may outlive the test, and its committed marks with it.
        self._own = token_hex(4)
        self._enqueued: dict[str, Marks] = {}
        self._finished: dict[Grant, tuple[Marks, Outcome]] = {}

    def enqueue_in(self, connection: Any, jobs: Sequence[NewJob]) -> list[str]:
        """Keep jobs, unless the transaction that is open on the connection is rolled back."""
        marks = marks_on(connection)
        newest = max((record.key for record in self.jobs(JobFilter(), limit=1)), default=0)
        job_ids = self.enqueue_many(jobs)
        # Not those that were there before, and which an enqueuing was answered with.
        count = len(job_ids)
        new = {one.id for one in super().jobs(JobFilter(), limit=count) if one.key > newest}
        marks.write(new)
        self._enqueued.update(dict.fromkeys(new, marks))
        return job_ids

    def finish_in(self, connection: Any, node: int, outcome: Outcome) -> bool:
        """Record an outcome, unless the transaction that is open on the connection is rolled back.

        False if that was done before in this attempt.
        """
        marks, grant = marks_on(connection), (outcome.key, outcome.fence)
        before = self._finished.get(grant)
        if before is not None and before[0].stand(self._name_of(grant)):
            return False
        held = node in self._nodes and outcome.key in self._nodes[node].held
        if held:
            marks.write([self._name_of(grant)])
            self._finished[grant] = marks, outcome
        return held

    def put_first(self, job_id: str) -> None:
        """Have a job that may start now claimed before all others."""
        with self._change:
            job = self._ledger.find(job_id)
            if job is None or job.place is None or job.run_at > Moment(self._clock).micros:
                return
            lane = self._ledger.lanes.of(job)
            lane.remove(job)
            job.delayed = False
            job.place = entry = (FIRST, job.run_at, job.key, job)
            heappush(lane.ready, entry)

    def announce(self) -> None:
        """Do nothing: nobody sleeps."""

    def exchange(self, node: int, outcomes: Sequence[Outcome], wants: Sequence[Want]) -> Exchanged:
        """Record outcomes and claim work; a job completed in a transaction stays completed."""
        self._forget_rolled_back()
        for outcome in outcomes:
            grant = outcome.key, outcome.fence
            marks, completed = self._finished.pop(grant, (None, outcome))
            if marks is not None and marks.stand(self._name_of(grant)):
                super().exchange(node, [completed], ())
        return super().exchange(node, outcomes, wants)

    def enqueue_many(self, jobs: Sequence[NewJob]) -> list[str]:
        """Keep jobs and return their ids in order."""
        self._forget_rolled_back()
        return super().enqueue_many(jobs)

    def get(self, job_id: str) -> JobRecord | None:
        """Return the job as it is now, or None if there is none (any more)."""
        self._forget_rolled_back()
        return super().get(job_id)

    def ended(self, job_ids: Sequence[str]) -> dict[str, Ended]:
        """Return how those of the given jobs ended that have ended."""
        self._forget_rolled_back()
        return super().ended(job_ids)

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
        self._forget_rolled_back()
        return super().jobs(
            wanted, before=before, limit=limit, skip=skip, oldest_first=oldest_first
        )

    def stats(self) -> dict[str, dict[str, int]]:
        """Return the number of jobs by queue and state."""
        self._forget_rolled_back()
        return super().stats()

    def _name_of(self, grant: Grant) -> str:
        key, fence = grant
        return f"{self._own} completed {key}/{fence}"

    def _forget_rolled_back(self) -> None:
        gone = [job_id for job_id, marks in self._enqueued.items() if not marks.stand(job_id)]
        for job_id in gone:
            del self._enqueued[job_id]
        if gone:
            self.cancel(gone)
            self.drop(gone)


class ClockedNotes:
    """Keeps notes in the store as if they had been made now: a body says its lines in no time."""

    def __init__(self, store: PrivateStore, clock: MovedClock) -> None:
        self._store = store
        self._clock = clock

    def note_many(self, notes: Sequence[Note]) -> None:
        """Keep notes."""
        now = self._clock.monotonic()
        self._store.note_many(
            [replace(note, lines=tuple((now, text) for _, text in note.lines)) for note in notes]
        )
