"""MemoryStore: jobs in this process, for as long as it lives. For tests and small programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.errors import LeaseLost
from mainspring.model.diagnosis import Diagnosis
from mainspring.model.job import FINAL, Exchanged, JobState, Renewed
from mainspring.model.timetable import Timetabled
from mainspring.stores.clock import Moment, SystemClock, as_datetime
from mainspring.stores.job_id import keys_in
from mainspring.stores.memory.change import Change, LiveNode
from mainspring.stores.memory.ledger import Ledger
from mainspring.stores.memory.locks import MemoryLocks
from mainspring.stores.memory.portable import PortableMemory
from mainspring.stores.memory.time_series import MemorySeries
from mainspring.stores.memory.timetable import MemorySchedules
from mainspring.stores.ownership import leaves_nothing
from mainspring.stores.rules.outcomes import is_on_record
from mainspring.stores.rules.rescue import ORPHANED, evidence_of
from mainspring.stores.wake.notifier import Notifier
from mainspring.stores.wake.topics import ENDED, LOCKS, ORDERS, READY, TOPICS, notices_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from mainspring.model.job import Claim, Grant, NewJob, Outcome, Rescued, Want
    from mainspring.model.note import Note
    from mainspring.model.timetable import NewSchedule
    from mainspring.model.view import (
        JobFilter,
    )
    from mainspring.protocols import Listener
    from mainspring.stores.clock import Clock


@leaves_nothing
class MemoryStore(PortableMemory):
    """Jobs in memory. Implements JobStore; safe to use from any thread."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._last_node = 0
        self._ledger = Ledger()
        self._schedules = MemorySchedules()
        self._nodes: dict[int, LiveNode] = {}
        self._locks = MemoryLocks(self._nodes)
        self._series = MemorySeries()
        self._change = Change(self, self._ledger, self._nodes)
        self._lock = self._change.lock
        self._notifiers = {topic: Notifier() for topic in TOPICS}

    @property
    def run_dir(self) -> None:
        """None: nodes share this process."""
        return

    def enqueue_many(self, jobs: Sequence[NewJob]) -> list[str]:
        """Keep jobs and return their ids in order."""
        with self._change:
            job_ids, wakes = self._ledger.enqueue(jobs, Moment(self._clock))
        if wakes:
            self._notify(READY)
        return job_ids

    def join(self, name: str, *, host: str, pid: int, lease: float, serves: bytes = b"{}") -> int:
        """Add a node with a lease of so many seconds; return its key."""
        with self._lock:
            self._last_node += 1
            until = Moment(self._clock).after(lease)
            self._nodes[self._last_node] = LiveNode(name, host, pid, until, {}, serves)
            return self._last_node

    def renew(self, node: int, *, lease: float, report: bytes | None = None) -> Renewed | None:
        """Renew a node's lease; None if it has gone."""
        with self._lock:
            found = self._nodes.get(node)
            if found is None:
                return None
            found.lease_until = Moment(self._clock).after(lease)
            found.report = found.report if report is None else report
            held = found.held.values()
            return Renewed(tuple((job.key, job.fence) for job in held if job.cancelling))

    def leave(self, node: int) -> None:
        """Remove a node; what it still holds goes back, uncharged."""
        with self._change:
            moment = Moment(self._clock)
            gone = self._nodes.pop(node, None)
            for job in gone.held.values() if gone else ():
                self._ledger.touch(job)
                job.release(moment)
                self._ledger.place(job)
        self._notify(READY, ENDED, LOCKS)

    def exchange(self, node: int, outcomes: Sequence[Outcome], wants: Sequence[Want]) -> Exchanged:
        """Record outcomes and claim work at once."""
        with self._change:
            if node not in self._nodes:
                raise LeaseLost(str(node))
            moment = Moment(self._clock)
            accepted = [self._settle(node, outcome, moment) for outcome in outcomes]
            exchanged = self._claim(node, wants, moment, accepted)
        for topic, keys in notices_of(outcomes, accepted).items():
            self._notify(topic, keys=keys)
        return exchanged

    def finish_many(self, node: int, outcomes: Sequence[Outcome]) -> list[bool]:
        """Record outcomes: the first half of `exchange`."""
        return self.exchange(node, outcomes, ()).accepted

    def claim(self, node: int, wants: Sequence[Want]) -> list[Claim]:
        """Claim work: the second half of `exchange`."""
        return self.exchange(node, (), wants).claims

    def held(self, node: int) -> list[Claim]:
        """Return the claims that a node holds."""
        with self._lock:
            if node not in self._nodes:
                raise LeaseLost(str(node))
            moment = Moment(self._clock)
            return [job.grant(moment) for job in self._nodes[node].held.values()]

    def rescue(self, node: int, *, dead: bool, begun: Collection[Grant] | None) -> Rescued | None:
        """Release or end a lost node's jobs; None if its lease still runs, or it has gone."""
        with self._change:
            moment = Moment(self._clock)
            lost = self._nodes.get(node)
            if lost is None or (not dead and lost.lease_until > moment.micros):
                return None
            del self._nodes[node]
            evidence = evidence_of(lost.name, lost.host, lost.pid, dead=dead)
            rescued = self._ledger.rescue(lost.held.values(), begun, evidence, moment)
        self._notify(READY, ENDED, LOCKS)
        return rescued

    def rescue_orphans(self, *, limit: int) -> Rescued | None:
        """Rescue up to `limit` running jobs of nodes that are not there; None if there are none."""
        if not self._ledger.running_elsewhere(self._nodes, 1):
            return None
        with self._change:
            orphans = self._ledger.running_elsewhere(self._nodes, limit)
            moment = Moment(self._clock)
            rescued = self._ledger.rescue(orphans, None, ORPHANED, moment)
        self._notify(READY, ENDED)
        return rescued

    def purge(self, *, completed_after: float, failed_after: float, limit: int) -> int:
        """Drop up to `limit` final jobs older than so many seconds; return how many."""
        with self._change:
            return self._ledger.purge(
                Moment(self._clock),
                completed_after=completed_after,
                failed_after=failed_after,
                limit=limit,
            )

    def listen(self, topic: str) -> Listener:
        """Listen for `"ready"`, `"ended"`, `"orders"` or `"locks"`."""
        return self._notifiers[topic].listen()

    def close(self) -> None:
        """Do nothing: there is nothing open. The jobs stay."""

    def examine(self) -> list[Diagnosis]:
        """Return that it is there: nothing of it can be unwell."""
        return [Diagnosis("memory", "ok", "jobs live in this process, and end with it")]

    def cancel(self, job_ids: Sequence[str]) -> list[bool]:
        """Cancel jobs; return for each whether it was live."""
        with self._change:
            moment = Moment(self._clock)
            jobs = [self._ledger.find(job_id) for job_id in job_ids]
            live = [job is not None and job.state not in FINAL for job in jobs]
            for job in jobs:
                if job is not None and job.state not in FINAL:
                    self._ledger.cancel(job, moment)
        if any(live):
            self._notify(ORDERS)
            self._notify(ENDED, keys=keys_in(job_ids))
        return live

    def retry(self, job_ids: Sequence[str], *, payload: bytes | None = None) -> list[str | None]:
        """Let failed and cancelled jobs run again; return the id of the live job for each."""
        with self._change:
            moment = Moment(self._clock)
            live = self._ledger.retry(job_ids, payload, moment)
        self._notify(READY)
        return live

    def reschedule(
        self, job_ids: Sequence[str], *, delay: float | None = None, priority: int | None = None
    ) -> list[bool]:
        """Change when pending jobs may start, and their priority; return for each if it waited."""
        with self._change:
            moment = Moment(self._clock)
            jobs = [self._ledger.find(job_id) for job_id in job_ids]
            waiting = [job is not None and job.state is JobState.PENDING for job in jobs]
            for job in jobs:
                if job is not None and job.state is JobState.PENDING:
                    self._ledger.reschedule(job, delay, priority, moment)
        if any(waiting):
            self._notify(READY)
        return waiting

    def drop(self, job_ids: Sequence[str]) -> int:
        """Drop final jobs with all that is known of them; return how many."""
        with self._change:
            return sum(self._ledger.drop(self._ledger.find(job_id)) for job_id in job_ids)

    def drop_ended(self, wanted: JobFilter, *, older_than: float, limit: int) -> int:
        """Drop up to `limit` final jobs that fit and ended so many seconds ago; return how many."""
        with self._lock:
            before = Moment(self._clock).after(-older_than)
            return self._ledger.drop_ended(wanted, before, limit)

    def expire(self, *, limit: int) -> list[int]:
        """Cancel up to `limit` pending jobs whose expiry has passed; return their keys."""
        with self._change:
            expired = self._ledger.expire(limit, Moment(self._clock))
        if expired:
            self._notify(ENDED)
        return expired

    def pause(self, queue: str) -> bool:
        """Hand out no more jobs of a queue; False if it was paused already."""
        with self._change:
            return self._ledger.lanes.pause(queue)

    def resume(self, queue: str) -> bool:
        """Hand out jobs of a queue again; False if it was not paused."""
        with self._change:
            resumed = self._ledger.lanes.resume(queue)
        self._notify(READY)
        return resumed

    def note_many(self, notes: Sequence[Note]) -> None:
        """Keep progress and log lines; a note whose fence is not the job's last is dropped."""
        with self._change:
            moment = Moment(self._clock)
            for note in notes:
                self._ledger.note(note, moment)

    def declare(self, schedules: Sequence[NewSchedule]) -> None:
        """Keep schedules by name."""
        with self._change:
            self._schedules.declare(schedules, Moment(self._clock))

    def swap_schedule(self, new: NewSchedule, *, expected: NewSchedule | None) -> bool:
        """Keep a schedule if what is there under its name is `expected`; None: nothing."""
        with self._change:
            return self._schedules.swap(new, expected, Moment(self._clock))

    def schedules(self) -> Timetabled:
        """Return all schedules by name, with the store's own time."""
        with self._lock:
            now = as_datetime(Moment(self._clock).micros)
            return Timetabled(now, self._schedules.all())

    def tick(
        self, name: str, *, last: datetime, to: datetime, jobs: Sequence[NewJob]
    ) -> list[str] | None:
        """Move a schedule's last tick and enqueue jobs; None if that was not its last tick."""
        with self._change:
            if not self._schedules.ticks(name, last, to):
                return None
            # Jobs first: if they are refused, the tick has not been.
            job_ids, wakes = self._ledger.enqueue(jobs, Moment(self._clock))
            self._schedules.advance(name, to)
        if wakes:
            self._notify(READY)
        return job_ids

    def pause_schedule(self, name: str) -> bool:
        """Tick no more; False if it is unknown or paused already."""
        with self._change:
            return self._schedules.pause(name)

    def resume_schedule(self, name: str) -> bool:
        """Tick again, from now on; False if it is unknown or not paused."""
        with self._change:
            return self._schedules.resume(name, Moment(self._clock))

    def forget_schedule(self, name: str) -> bool:
        """Drop a schedule; False if it is unknown."""
        with self._change:
            return self._schedules.forget(name)

    def acquire(self, node: int, name: str) -> int | None:
        """Give a node a lock; None if another has it, or the node's lease has run out."""
        with self._lock:
            return self._locks.acquire(node, name, Moment(self._clock))

    def release(self, node: int, name: str, fence: int) -> bool:
        """Free a lock, if the node has it with that fence."""
        with self._lock:
            freed = self._locks.release(node, name, fence)
        self._notify(LOCKS)
        return freed

    def add_entry(self, kind: str, text: bytes, *, ago: float = 0.0) -> None:
        """Keep a JSON text, with the moment `ago` seconds before now."""
        with self._lock:
            self._series.add(kind, as_datetime(Moment(self._clock).after(-ago)), text)

    def replace_entries(
        self, kind: str, keys: Sequence[int], *, by: str, at: datetime, text: bytes
    ) -> bool:
        """Put one entry in the place of others, if all of these are there."""
        with self._lock:
            return self._series.replace(kind, keys, by=by, at=at, text=text)

    def drop_entries(self, kind: str, *, older_than: float, limit: int) -> int:
        """Drop up to `limit` entries of that age; return how many."""
        with self._lock:
            return self._series.drop(kind, older_than, limit, Moment(self._clock))

    def recover(self) -> None:
        """Undo what a call of this thread has left that an exception has ended."""
        self._change.recover()

    def _settle(self, node: int, outcome: Outcome, moment: Moment) -> bool:
        job = self._ledger.jobs.get(outcome.key)
        if job is None:
            return False
        if not job.holds(node, outcome.fence):
            return is_on_record(outcome, job.recorded(node, outcome.fence))
        self._ledger.touch(job)
        del self._nodes[node].held[job.key]
        job.settle(outcome, moment)
        self._ledger.place(job)
        return True

    def _claim(
        self, node: int, wants: Sequence[Want], moment: Moment, accepted: list[bool]
    ) -> Exchanged:
        owner = self._nodes[node]
        if owner.lease_until <= moment.micros:
            return Exchanged(accepted, [], lapsed=True)
        due = self._ledger.next_due(wants, moment)
        claims: list[Claim] = []
        for want in wants:
            for job, claim in self._ledger.claim(node, owner.name, want, moment):
                owner.held[job.key] = job
                claims.append(claim)
        return Exchanged(accepted, claims, next_due=due)

    def _notify(self, *topics: str, keys: Collection[int] = ()) -> None:
        for topic in topics:
            self._notifiers[topic].notify(keys)
