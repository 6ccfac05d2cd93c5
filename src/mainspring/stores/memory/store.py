"""MemoryStore: jobs in this process and for as long as it lives. The pool and tests use it."""

from __future__ import annotations

import threading
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from msgspec import Struct

from mainspring.errors import LeaseLost
from mainspring.model.job import FINAL, Exchanged, JobState, NodeRecord, Rescued
from mainspring.stores.clock import MICROS, Moment, SystemClock
from mainspring.stores.job_id import format_id, new_nonce, parse_id
from mainspring.stores.loss import evidence_of
from mainspring.stores.memory.bell import Bell
from mainspring.stores.memory.job import Job
from mainspring.stores.memory.lanes import Lanes, promote, take
from mainspring.stores.topics import topics_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mainspring.model.job import (
        AttemptRecord,
        Claim,
        Ended,
        JobRecord,
        NewJob,
        Outcome,
        Want,
    )
    from mainspring.protocols import Listener
    from mainspring.stores.clock import Clock


class Node(Struct):
    """A live node and the keys of what it holds."""

    name: str
    host: str
    pid: int
    lease_until: int
    held: dict[int, Job]


class MemoryStore:
    """Jobs in memory. Implements Store and Catalog; safe to use from any thread."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._last_key = 0
        self._last_node = 0
        self._jobs: dict[int, Job] = {}
        self._lanes = Lanes()
        self._nodes: dict[int, Node] = {}
        self._finished: dict[JobState, list[tuple[int, int]]] = {state: [] for state in FINAL}
        self._bells = {"ready": Bell(), "ended": Bell()}

    @property
    def run_dir(self) -> None:
        """None: nodes share this process."""
        return

    def enqueue_many(self, jobs: Sequence[NewJob]) -> list[str]:
        """Keep jobs and return their ids in order."""
        with self._lock:
            moment = Moment(self._clock)
            kept = [self._keep(job, moment) for job in jobs]
            news = {self._line_up(job) for job in kept}
        if True in news:
            self._bells["ready"].ring()
        return [job.id for job in kept]

    def join(self, name: str, *, host: str, pid: int, lease: float) -> int:
        """Add a node with a lease of so many seconds; return its key."""
        with self._lock:
            self._last_node += 1
            until = Moment(self._clock).after(lease)
            self._nodes[self._last_node] = Node(name, host, pid, until, {})
            return self._last_node

    def renew(self, node: int, *, lease: float) -> bool:
        """Renew a node's lease; False if it has gone."""
        with self._lock:
            found = self._nodes.get(node)
            if found is not None:
                found.lease_until = Moment(self._clock).after(lease)
            return found is not None

    def leave(self, node: int) -> None:
        """Remove a node; what it still holds goes back, uncharged."""
        with self._lock:
            moment = Moment(self._clock)
            gone = self._nodes.pop(node, None)
            for job in gone.held.values() if gone else ():
                job.release(moment)
                self._line_up(job)
        self._bells["ready"].ring()

    def exchange(self, node: int, outcomes: Sequence[Outcome], wants: Sequence[Want]) -> Exchanged:
        """Record outcomes and claim work at once."""
        with self._lock:
            if node not in self._nodes:
                raise LeaseLost(str(node))
            moment = Moment(self._clock)
            accepted = [self._settle(node, outcome, moment) for outcome in outcomes]
            exchanged = self._claim(node, wants, moment, accepted)
        self._tell(outcomes, accepted)
        return exchanged

    def finish_many(self, node: int, outcomes: Sequence[Outcome]) -> list[bool]:
        """Record outcomes: the first half of `exchange`."""
        return self.exchange(node, outcomes, ()).accepted

    def claim(self, node: int, wants: Sequence[Want]) -> list[Claim]:
        """Claim work: the second half of `exchange`."""
        return self.exchange(node, (), wants).claims

    def rescue(
        self, node: int, *, dead: bool, begun: Collection[tuple[int, int]] | None
    ) -> Rescued | None:
        """Take a lost node's jobs from it; None if its lease still runs, or it has gone already."""
        with self._lock:
            moment = Moment(self._clock)
            lost = self._nodes.get(node)
            if lost is None or (not dead and lost.lease_until > moment.micros):
                return None
            del self._nodes[node]
            evidence = evidence_of(lost.name, lost.host, lost.pid, dead=dead)
            for job in lost.held.values():
                if begun is None or (job.key, job.fence) in begun:
                    job.crash(evidence, moment, began_at=None, ended_at=moment.micros)
                else:
                    job.release(moment)
                self._place(job, moment)
        rescued = Rescued(
            requeued=[key for key, job in lost.held.items() if job.state is JobState.PENDING],
            failed=[key for key, job in lost.held.items() if job.state is JobState.FAILED],
        )
        self._bells["ready"].ring()
        if rescued.failed:
            self._bells["ended"].ring()
        return rescued

    def purge(self, *, completed_after: float, failed_after: float, limit: int) -> int:
        """Drop up to `limit` final jobs older than so many seconds; return how many."""
        dropped = 0
        with self._lock:
            moment = Moment(self._clock)
            for state, ended in self._finished.items():
                kept = failed_after if state is JobState.FAILED else completed_after
                while dropped < limit and ended and ended[0][0] <= moment.after(-kept):
                    del self._jobs[heappop(ended)[1]]
                    dropped += 1
        return dropped

    def listen(self, topic: str) -> Listener:
        """Listen for `"ready"` (work to claim) or `"ended"` (jobs that ended)."""
        return self._bells[topic].listen()

    def close(self) -> None:
        """Do nothing: there is nothing open. The jobs stay."""

    def get(self, job_id: str) -> JobRecord | None:
        """Return the job as it is now, or None if there is none (any more)."""
        with self._lock:
            job = self._find(job_id)
            return job.record() if job else None

    def history(self, job_id: str) -> list[AttemptRecord]:
        """Return every attempt, oldest first; empty for an unknown id."""
        with self._lock:
            job = self._find(job_id)
            return job.history() if job else []

    def ended(self, job_ids: Sequence[str]) -> dict[str, Ended]:
        """Return how those of the given jobs ended that have ended."""
        with self._lock:
            found = {job_id: self._find(job_id) for job_id in job_ids}
            return {key: job.ended() for key, job in found.items() if job and job.state in FINAL}

    def stats(self) -> dict[str, dict[str, int]]:
        """Return the number of jobs by queue and state."""
        counts: dict[str, dict[str, int]] = {}
        with self._lock:
            for job in self._jobs.values():
                of_queue = counts.setdefault(job.queue, {state.value: 0 for state in JobState})
                of_queue[job.state.value] += 1
        return counts

    def nodes(self) -> list[NodeRecord]:
        """Return the nodes that have joined and not left."""
        with self._lock:
            now = Moment(self._clock).micros
            return [node_record(key, node, now) for key, node in self._nodes.items()]

    def _keep(self, new: NewJob, moment: Moment) -> Job:
        self._last_key += 1
        job = self._jobs[self._last_key] = Job(
            key=self._last_key,
            id=format_id(self._last_key, new_nonce()),
            task=new.task,
            queue=new.queue,
            priority=new.priority,
            payload=new.payload,
            created_at=moment.micros,
            run_at=moment.after(new.delay),
            delayed=new.delay > 0,
        )
        return job

    def _find(self, job_id: str) -> Job | None:
        parsed = parse_id(job_id)
        job = self._jobs.get(parsed[0]) if parsed else None
        return job if job is not None and job.id == job_id else None

    def _line_up(self, job: Job) -> bool:
        return self._lanes.of(job.queue, job.task).add(job)

    def _place(self, job: Job, moment: Moment) -> None:
        """Put a job that has left its node where it belongs: back into its line, or away."""
        if job.state is JobState.PENDING:
            self._line_up(job)
        else:
            ended_at = job.past[-1].ended_at if job.past else moment.micros
            heappush(self._finished[job.state], (ended_at, job.key))

    def _settle(self, node: int, outcome: Outcome, moment: Moment) -> bool:
        job = self._jobs.get(outcome.key)
        if job is None or not job.holds(node, outcome.fence):
            return False
        del self._nodes[node].held[job.key]
        job.settle(outcome, moment)
        self._place(job, moment)
        return True

    def _claim(
        self, node: int, wants: Sequence[Want], moment: Moment, accepted: list[bool]
    ) -> Exchanged:
        owner = self._nodes[node]
        matching = [(want, self._lanes.matching(want)) for want in wants]
        due = promote((lane for _, lanes in matching for lane in lanes), moment.micros)
        jobs = [job for want, lanes in matching for job in take(lanes, want.limit)]
        owner.held.update((job.key, job) for job in jobs)
        return Exchanged(
            accepted=accepted,
            claims=[job.claim(node, owner.name, moment) for job in jobs],
            next_due=None if due is None else (due - moment.micros) / MICROS,
        )

    def _tell(self, outcomes: Sequence[Outcome], accepted: Sequence[bool]) -> None:
        """Wake who waits for these jobs to end, or for those that may be claimed again."""
        for topic in topics_of(outcomes, accepted):
            self._bells[topic].ring()


def node_record(key: int, node: Node, now: int) -> NodeRecord:
    """Return a node as views read it; `now` is stored time."""
    return NodeRecord(
        key=key,
        name=node.name,
        host=node.host,
        pid=node.pid,
        expires_in=(node.lease_until - now) / MICROS,
        running=len(node.held),
    )
