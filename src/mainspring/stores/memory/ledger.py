"""The jobs in memory and where each stands. Knows nothing of nodes, notifiers or locks."""

from __future__ import annotations

from copy import copy
from heapq import heappop, heappush, nsmallest
from itertools import islice
from typing import TYPE_CHECKING

from mainspring.model.job import CANCELLED, EXPIRED, FINAL, JobState, Rescued
from mainspring.model.job_options import tags_in
from mainspring.model.note import LINE_CHARACTERS, MOST_LINES, LogLine
from mainspring.model.view import SearchPage
from mainspring.stores.clock import MICROS, as_datetime
from mainspring.stores.job_id import format_id, new_nonce, parse_id
from mainspring.stores.memory.answers import MemoryAnswers
from mainspring.stores.memory.job import Job
from mainspring.stores.memory.lanes import MemoryLanes, promote, take
from mainspring.stores.rules.enqueue import expires_at, is_keyed, plan_enqueue
from mainspring.stores.rules.keeping import ages
from mainspring.stores.rules.rescue import decide_crashes
from mainspring.stores.rules.retry import FinalJob, is_revivable, plan_retry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from mainspring.model.job import Claim, Grant, NewJob, Want
    from mainspring.model.note import Note
    from mainspring.model.view import JobFilter
    from mainspring.stores.clock import Moment

Due = list[tuple[int, int]]
"""A heap of stored times with the keys of jobs; an entry may have lost its meaning."""


class Ledger:
    """Every job by its key, in its line or among the finished ones."""

    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.lanes = MemoryLanes()
        self.last_key = 0
        self._unique: dict[str, Job] = {}
        self.answers = MemoryAnswers()
        self._finished: dict[JobState, Due] = {state: [] for state in FINAL}
        self._keeping: Due = []
        self._expiring: Due = []
        self.before: dict[int, tuple[Job, Job] | None] | None = None
        """Jobs and what they were before the change that is under way; None for a new one.

        As a whole None as long as nothing is being changed: then all is as it is meant to be.
        """

    def touch(self, job: Job) -> None:
        """Remember what a job was before the change; to be called before each."""
        if self.before is not None and job.key not in self.before:
            self.before[job.key] = job, copy(job)

    def undo(self) -> None:
        """Make everything as it was before the change; can be done again if interrupted."""
        before = self.before or {}
        jobs = {key: job for key, job in self.jobs.items() if key not in before}
        for key, known in before.items():
            if known is not None:
                jobs[key] = restored(*known)
        self.answers.undo()
        self.jobs = dict(sorted(jobs.items()))
        self._sort()

    def _sort(self) -> None:
        """Put every job anew where it belongs."""
        self.lanes = self.lanes.emptied()
        self._unique = {}
        self._finished = {state: [] for state in FINAL}
        self._keeping, self._expiring = [], []
        for job in self.jobs.values():
            if job.state not in FINAL and job.unique is not None:
                self._unique[job.unique] = job
            if job.state is not JobState.RUNNING:
                self.place(job)

    def held_by(self, node: int) -> dict[int, Job]:
        """Return what a node holds."""
        running = JobState.RUNNING
        return {
            key: job for key, job in self.jobs.items() if job.state is running and job.node == node
        }

    def find(self, job_id: str) -> Job | None:
        """Return the job of that id, None if there is none."""
        parsed = parse_id(job_id)
        job = self.jobs.get(parsed[0]) if parsed else None
        return job if job is not None and job.id == job_id else None

    def matching(
        self, wanted: JobFilter, before: int | None, *, oldest_first: bool
    ) -> Iterator[Job]:
        """Yield the jobs that fit, those that come after `before` in that order."""
        # Keys only grow, so the order of a dict is theirs.
        jobs = self.jobs.items() if oldest_first else reversed(self.jobs.items())
        for key, job in jobs:
            comes_after = before is None or (key > before if oldest_first else key < before)
            if comes_after and fits(job, wanted):
                yield job

    def search(self, wanted: JobFilter, before: int | None, limit: int, most: int) -> SearchPage:
        """Return the newest jobs that fit, and how far it looked."""
        looked = 0
        found: list[Job] = []
        for key, job in reversed(self.jobs.items()):
            if before is not None and key >= before:
                continue
            looked += 1
            if fits(job, wanted):
                found.append(job)
            if len(found) == limit or looked == most:
                return SearchPage([job.record() for job in found], looked, key)
        return SearchPage([job.record() for job in found], looked, None)

    def enqueue(self, jobs: Sequence[NewJob], moment: Moment) -> tuple[list[str], bool]:
        """Keep jobs; return their ids, and whether sleepers should know. All or nothing."""
        if not is_keyed(jobs):  # most are not, so this is short
            return self._insert(jobs, moment)
        plan = plan_enqueue(jobs, self.answers.known(jobs, moment), self._unique)
        inserted, wakes = self._insert(plan.inserted, moment)
        for unique, new in plan.replaced.items():
            wakes = self._replace(self._unique[unique], new, moment) or wakes
        for idempotency_key, job_id in plan.memories(inserted).items():
            self.answers.remember(idempotency_key, job_id, moment)
        return plan.ids(inserted), wakes

    def _insert(self, jobs: Sequence[NewJob], moment: Moment) -> tuple[list[str], bool]:
        job_ids: list[str] = []
        wakes = False
        for new in jobs:
            job = self._new(new, moment)
            wakes = self._line_up(job) or wakes
            job_ids.append(job.id)
        return job_ids, wakes

    def _replace(self, job: Job, new: NewJob, moment: Moment) -> bool:
        self.touch(job)
        self.lanes.of(job).remove(job)
        job.replace(new, moment)
        return self._line_up(job)

    def _new(self, new: NewJob, moment: Moment) -> Job:
        self.last_key += 1
        if self.before is not None:
            self.before[self.last_key] = None
        job = self.jobs[self.last_key] = Job(
            key=self.last_key,
            id=format_id(self.last_key, new_nonce()),
            task=new.task,
            queue=new.queue,
            priority=new.priority,
            payload=new.payload,
            created_at=moment.micros,
            run_at=moment.after(new.delay),
            delayed=new.delay > 0,
            unique=new.unique,
            expires_at=expires_at(new, moment),
            options=new.options,
            tags=tags_in(new.options),
        )
        if job.unique is not None:
            self._unique[job.unique] = job
        return job

    def is_free(self, unique: str | None) -> bool:
        """Return whether no live job bears a unique key."""
        return unique not in self._unique

    def adopt(self, job: Job) -> None:
        """Keep a job of another store, under the key that it has there."""
        if self.before is not None:
            self.before[job.key] = None
        self.jobs[job.key] = job
        self.last_key = max(self.last_key, job.key)
        if job.unique is not None and job.state not in FINAL:
            self._unique[job.unique] = job
        self.place(job)

    def _line_up(self, job: Job) -> bool:
        if job.expires_at is not None:
            heappush(self._expiring, (job.expires_at, job.key))
        return self.lanes.of(job).add(job)

    def place(self, job: Job) -> None:
        """Put a job that has left its node where it belongs: back into its line, or away."""
        if job.state is JobState.PENDING:
            self._line_up(job)
            return
        if job.unique is not None and self._unique.get(job.unique) is job:
            del self._unique[job.unique]
        due = self._finished[job.state] if job.keep_until is None else self._keeping
        heappush(due, (job.keep_until or job.ended_at or 0, job.key))

    def claim(self, node: int, name: str, want: Want, moment: Moment) -> list[tuple[Job, Claim]]:
        """Assign a node the jobs it wants, in order."""
        jobs = take(self.lanes.matching(want), want.limit, want.suspects)
        for job in jobs:
            self.touch(job)
        return [(job, job.claim(node, name, moment)) for job in jobs]

    def rescue(
        self,
        held: Iterable[Job],
        begun: Collection[Grant] | None,
        evidence: str,
        moment: Moment,
    ) -> Rescued:
        """Rescue the jobs of a node that is lost."""
        by_state: dict[JobState, list[int]] = {state: [] for state in JobState}
        for job, decision in decide_crashes(held, begun, evidence):
            self.touch(job)
            if decision is None:
                job.release(moment)
            else:
                job.crash(decision, moment)
            self.place(job)
            by_state[job.state].append(job.key)
        return Rescued(
            requeued=by_state[JobState.PENDING],
            failed=by_state[JobState.FAILED],
            cancelled=by_state[JobState.CANCELLED],
        )

    def running_elsewhere(self, nodes: Collection[int], limit: int) -> list[Job]:
        """Return running jobs of none of the nodes; a look without the lock harms nobody."""
        jobs = (job for job in list(self.jobs.values()) if job.running and job.node not in nodes)
        return list(islice(jobs, limit))

    def next_due(self, wants: Iterable[Want], moment: Moment) -> float | None:
        """Make ready what is due; return the seconds until the next job of the wants is."""
        lanes = [lane for want in wants for lane in self.lanes.matching(want)]
        due = promote(lanes, moment.micros)
        return None if due is None else (due - moment.micros) / MICROS

    def cancel(self, job: Job, moment: Moment) -> None:
        """Cancel a live job, or mark it if it runs."""
        self.touch(job)
        if job.state is JobState.RUNNING:
            job.cancelling = True
            return
        self.lanes.of(job).remove(job)
        job.end_waiting(CANCELLED, moment)
        self.place(job)

    def retry(
        self, job_ids: Sequence[str], payload: bytes | None, moment: Moment
    ) -> list[str | None]:
        """Let failed and cancelled jobs run again; return the id of the live one for each."""
        jobs = {job_id: job for job_id in job_ids if (job := self.find(job_id)) is not None}
        found = {
            job_id: FinalJob(job.unique, self._bearer_id(job.unique))
            for job_id, job in jobs.items()
            if is_revivable(job.state)
        }
        plan = plan_retry(job_ids, found)
        for job_id in plan.revived:
            self._revive(jobs[job_id], payload, moment)
        return plan.answers

    def _bearer_id(self, unique: str | None) -> str | None:
        live = None if unique is None else self._unique.get(unique)
        return None if live is None else live.id

    def _revive(self, job: Job, payload: bytes | None, moment: Moment) -> None:
        self.touch(job)
        job.revive(payload, moment)
        if job.unique is not None:
            self._unique[job.unique] = job
        self._line_up(job)

    def reschedule(
        self, job: Job, delay: float | None, priority: int | None, moment: Moment
    ) -> None:
        """Move a pending job to another place."""
        self.touch(job)
        self.lanes.of(job).remove(job)
        job.reschedule(delay, priority, moment)
        self._line_up(job)

    def drop(self, job: Job | None) -> bool:
        """Drop a final job."""
        if job is None or job.state not in FINAL:
            return False
        self.touch(job)
        del self.jobs[job.key]
        return True

    def drop_ended(self, wanted: JobFilter, before: int, limit: int) -> int:
        """Drop the oldest final jobs that fit and ended before the stored time."""
        found = (
            job
            for job in self.jobs.values()
            if job.ended_at is not None and job.ended_at <= before and fits(job, wanted)
        )
        oldest = nsmallest(limit, found, key=lambda job: job.ended_at or 0)
        return sum([self.drop(job) for job in oldest])

    def expire(self, limit: int, moment: Moment) -> list[int]:
        """Cancel pending jobs whose expiry has passed; return their keys."""
        cancelled: list[int] = []
        while len(cancelled) < limit and self._expiring and self._expiring[0][0] <= moment.micros:
            at, key = heappop(self._expiring)
            job = self.jobs.get(key)
            if job is None or job.state is not JobState.PENDING or job.expires_at != at:
                continue
            self.touch(job)
            self.lanes.of(job).remove(job)
            job.end_waiting(EXPIRED, moment)
            self.place(job)
            cancelled.append(key)
        return cancelled

    def purge(
        self, moment: Moment, *, completed_after: float, failed_after: float, limit: int
    ) -> int:
        """Drop final jobs past their keeping time; return how many."""
        dropped = 0
        for state, age in ages(completed_after=completed_after, failed_after=failed_after).items():
            ended = self._finished[state]
            dropped += self._drop_due(ended, moment.after(-age), state, limit - dropped)
        until, completed = moment.micros, JobState.COMPLETED
        dropped += self._drop_due(self._keeping, until, completed, limit - dropped)
        self.answers.forget(moment)
        return dropped

    def _drop_due(self, due: Due, until: int, state: JobState, limit: int) -> int:
        dropped = 0
        while dropped < limit and due and due[0][0] <= until:
            at, key = heappop(due)
            job = self.jobs.get(key)
            # One that ran again since may have ended again, even at the same moment.
            if job is not None and job.state is state and at == (job.keep_until or job.ended_at):
                dropped += self.drop(job)
        return dropped

    def note(self, note: Note, moment: Moment) -> None:
        """Keep what a body says, if its claim is the job's last."""
        job = self.jobs.get(note.key)
        if job is None or job.fence != note.fence:
            return
        self.touch(job)
        if note.progress is not None:
            job.progress = note.progress
        if note.message is not None:
            job.message = note.message[:LINE_CHARACTERS]
        lines = [
            LogLine(as_datetime(moment.at(at)), note.fence, text[:LINE_CHARACTERS])
            for at, text in note.lines
        ]
        job.log = [*job.log, *lines][-MOST_LINES:]


def restored(job: Job, was: Job) -> Job:
    """Return a job with all its fields as they were."""
    for field in job.__struct_fields__:
        setattr(job, field, getattr(was, field))
    return job


def fits(job: Job, wanted: JobFilter) -> bool:
    """Return whether a job is one of those wanted."""
    exact = (
        wanted.status in (None, job.state)
        and wanted.queue in (None, job.queue)
        and wanted.task in (None, job.task)
        and (wanted.tag is None or wanted.tag in job.tags)
    )
    if not exact or wanted.search is None:
        return exact
    error = "" if job.failure is None else str(job.failure)
    texts = (job.id, job.task, job.payload.decode(), error)
    return any(wanted.search.lower() in text.lower() for text in texts)
