"""MemoryStore: jobs in this process and for as long as it lives. The pool and tests use it."""

from __future__ import annotations

import threading
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from msgspec import Struct

from mainspring.errors import LeaseLost
from mainspring.model.job import FINAL, Exchanged, JobState, NodeRecord, Rescued
from mainspring.stores.clock import MICROS, Moment, SystemClock
from mainspring.stores.job_id import format_id, new_nonce
from mainspring.stores.loss import evidence_of, fate_of
from mainspring.stores.memory.bell import Bell
from mainspring.stores.memory.job import Job
from mainspring.stores.memory.lanes import Lanes, promote, take

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
        self._ids: dict[str, Job] = {}
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
            # A list, so that every job is put into its lane.
            news = any([self._line_up(job, moment) for job in kept])
        if news:
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
                self._line_up(job, moment)
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
                started = begun is None or (job.key, job.fence) in begun
                fate = fate_of(job.task, job.crashes, begun=started, evidence=evidence)
                job.suffer(fate, moment)
                self._place(job, moment)
        rescued = Rescued(
            requeued=[key for key, job in lost.held.items() if job.state is JobState.PENDING],
            failed=[key for key, job in lost.held.items() if job.state is JobState.FAILED],
        )
        self._bells["ready"].ring()
        if rescued.failed:
            self._bells["ended"].ring()
        return rescued
