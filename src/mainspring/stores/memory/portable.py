"""The jobs in memory as values for another store, and those of another store taken over."""

from __future__ import annotations

from itertools import islice, pairwise
from typing import TYPE_CHECKING

from mainspring.model.job import FINAL, JobState
from mainspring.model.job_options import tags_in
from mainspring.model.note import LogLine
from mainspring.model.stored_job import (
    AnswerPage,
    Arrival,
    StoredAnswer,
    StoredAttempt,
    StoredJob,
    StoredLine,
    StoreMarks,
)
from mainspring.stores.clock import as_datetime, as_micros
from mainspring.stores.job_id import format_id, parse_id
from mainspring.stores.memory.catalog import MemoryCatalog
from mainspring.stores.memory.job import Job, PastAttempt
from mainspring.stores.ownership import leaves_nothing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.timetable import ScheduleRecord
    from mainspring.stores.memory.change import Change
    from mainspring.stores.memory.timetable import MemorySchedules

NO_NODE = 0
"""The key of a node of another store: none here has it."""


@leaves_nothing
class PortableMemory(MemoryCatalog):
    """Gives all that a memory store holds, and takes it from another. Implements Portable."""

    _change: Change
    _schedules: MemorySchedules

    def export_jobs(self, *, after: int | None, limit: int) -> list[StoredJob]:
        """Return up to `limit` jobs with a key above `after`, by their keys."""
        with self._lock:
            jobs = self._ledger.jobs
            some = islice((key for key in jobs if after is None or key > after), limit)
            return [exported(jobs[key]) for key in some]

    def import_jobs(self, jobs: Sequence[StoredJob]) -> list[Arrival]:
        """Keep jobs under their keys; return what became of each."""
        with self._change:
            keys = [next(reversed(self._ledger.jobs), 0), *(one.key for one in jobs)]
            arrivals = [self._import(one) for one in jobs]
            # A copy brings them in order: sorting all for each page took most of its time.
            if any(key >= following for key, following in pairwise(keys)):
                self._ledger.jobs = dict(sorted(self._ledger.jobs.items()))
            return arrivals

    def export_answers(self, *, cursor: str | None, limit: int) -> AnswerPage:
        """Return all idempotency keys: they are in memory as it is."""
        del cursor, limit
        with self._lock:
            known = self._ledger.answers.by_key.items()
            return AnswerPage(
                [
                    StoredAnswer(name, *(parse_id(job_id) or (0, 0)), until)
                    for name, (until, job_id) in known
                ]
            )

    def import_answers(self, answers: Sequence[StoredAnswer]) -> None:
        """Keep idempotency keys."""
        with self._change:
            for one in answers:
                job_id = format_id(one.key, one.nonce)
                self._ledger.answers.adopt(one.idempotency_key, (one.until, job_id))
            self._ledger.answers.sort()

    def import_schedules(self, schedules: Sequence[ScheduleRecord]) -> int:
        """Keep schedules of whose names there are none; return how many."""
        with self._change:
            return self._schedules.adopt(schedules)

    def marks(self) -> StoreMarks:
        """Return the highest numbers that it has given."""
        with self._lock:
            return StoreMarks(self._ledger.last_key, self._locks.last_fence)

    def raise_marks(self, wanted: StoreMarks) -> None:
        """Give only higher numbers from now on."""
        with self._change:
            self._ledger.last_key = max(self._ledger.last_key, wanted.key)
            self._locks.last_fence = max(self._locks.last_fence, wanted.lock_fence)

    def _import(self, one: StoredJob) -> Arrival:
        known = self._ledger.jobs.get(one.key)
        if known is not None:
            same = known.id == format_id(one.key, one.nonce)
            return Arrival.THERE if same else Arrival.KEY_TAKEN
        if one.state not in FINAL and not self._ledger.is_free(one.unique):
            return Arrival.UNIQUE_TAKEN
        self._ledger.adopt(imported(one))
        return Arrival.KEPT


def exported(job: Job) -> StoredJob:
    """Return a job as it goes to another store."""
    final = job.state in FINAL
    last = job.past[-1] if final and job.node is not None else None
    return StoredJob(
        key=job.key,
        nonce=(parse_id(job.id) or (0, 0))[1],
        task=job.task,
        queue=job.queue,
        state=job.state,
        priority=job.priority,
        run_at=job.run_at,
        created_at=job.created_at,
        payload=job.payload,
        delayed=job.delayed and job.state is JobState.PENDING,
        attempts=job.attempts,
        crashes=job.crashes,
        fence=job.fence,
        unique=job.unique,
        expires_at=job.expires_at,
        options=job.options,
        node=job.node_name,
        began_at=last.began_at if last else job.claimed_at if job.running else None,
        ended_at=job.ended_at,
        keep_until=job.keep_until,
        result=job.result,
        failure=job.failure if final else None,
        progress=job.progress or None,
        message=job.message or None,
        past=tuple(
            StoredAttempt(
                one.number, one.node, one.began_at, one.ended_at, one.outcome, one.failure
            )
            for one in (job.past[:-1] if last else job.past)
        ),
        log=tuple(StoredLine(as_micros(one.at), one.number, one.text) for one in job.log),
    )


def imported(one: StoredJob) -> Job:
    """Return a job of another store as it is kept here."""
    past = [
        PastAttempt(
            attempt.fence,
            NO_NODE,
            attempt.node,
            attempt.began_at,
            attempt.ended_at,
            attempt.outcome,
            attempt.failure,
        )
        for attempt in one.past
    ]
    waiting_failure = past[-1].failure if past else None
    if one.node is not None:
        began, ended, word = one.began_at or 0, one.ended_at or 0, one.state.value
        past.append(PastAttempt(one.fence, NO_NODE, one.node, began, ended, word, one.failure))
    return Job(
        key=one.key,
        id=format_id(one.key, one.nonce),
        task=one.task,
        queue=one.queue,
        priority=one.priority,
        payload=one.payload,
        created_at=one.created_at,
        run_at=one.run_at,
        delayed=one.delayed,
        unique=one.unique,
        expires_at=one.expires_at,
        options=one.options,
        tags=tags_in(one.options),
        state=one.state,
        attempts=one.attempts,
        crashes=one.crashes,
        fence=one.fence,
        node=None if one.node is None else NO_NODE,
        node_name=one.node,
        claimed_at=one.began_at,
        ended_at=one.ended_at,
        keep_until=one.keep_until,
        result=one.result,
        failure=one.failure if one.state in FINAL else waiting_failure,
        progress=one.progress or 0.0,
        message=one.message or "",
        past=past,
        log=[LogLine(as_datetime(line.at), line.fence, line.text) for line in one.log],
    )
