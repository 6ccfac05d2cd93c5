"""The dashboard of one queue: what all its requests share."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

from mainspring.clock import monotonic, utc_now
from mainspring.model.capabilities import unclaimable
from mainspring.model.job import JobState
from mainspring.model.signature import names_by_place
from mainspring.model.statistics import Wanted
from mainspring.model.value import Value
from mainspring.model.view import JobFilter
from mainspring.queue.failures import (
    MOST_FAILURES,
    MOST_SECONDS,
    FailureSeen,
    RecentFailures,
    failed_jobs,
    failure_seen,
    recent_failures,
)
from mainspring.queue.nodes import lost_nodes_of, nodes_of, records_of
from mainspring.queue.statistics import Recent, StatsPoint, past_of
from mainspring.web.dashboard.redaction import Redaction
from mainspring.web.dashboard.samples import Samples

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from mainspring.model.lost_node import LostNode
    from mainspring.model.view import JobRecord, LaneRecord
    from mainspring.protocols import JobStore
    from mainspring.queue import Queue
    from mainspring.queue.nodes import NodeInfo

T = TypeVar("T")
queue_of = attrgetter("queue")

LEAST_KEPT = 1.0
"""Seconds for which a read is shared by all who ask."""

SHARE = 30
"""A read is kept for so many times as long as it took: it costs the store 3 % of its time."""

POINTS_KEPT = 12
MOST_PASTS = 64
"""Queues and times whose points are kept."""

PastKey = tuple[float, str | None]
"""Seconds that it goes back, and the queue; None: of all."""

RECENT_SECONDS = 900.0
"""Seconds that times and rates are of, where no chart shows them."""

MOST_RUNNING = 500
"""Running jobs that are read, the oldest ones: among them are those that are stuck."""


class Counts(Value, frozen=True):
    """Numbers of jobs as of `at`: by queue and state, and by lane. And nodes, also lost ones."""

    at: datetime
    by_queue: Mapping[str, Mapping[str, int]]
    lanes: Sequence[LaneRecord]
    lanes_of: Mapping[str, Sequence[LaneRecord]]
    paused: Sequence[str]
    nodes: Sequence[NodeInfo]
    lost: Sequence[LostNode]
    unclaimable: Sequence[LaneRecord]

    def of(self, state: JobState) -> int:
        """Return how many jobs of all queues are in a state."""
        return sum(counts.get(state, 0) for counts in self.by_queue.values())

    @property
    def queues(self) -> list[str]:
        """Names of all queues, in order."""
        served = [name for node in self.nodes for name in node.serves.queues or ()]
        lanes = [lane.queue for lane in self.lanes]
        return sorted({*self.by_queue, *self.paused, *served, *lanes})

    def serving(self, queue: str) -> list[str]:
        """Return the names of the live nodes that take jobs from a queue."""
        return [
            node.name
            for node in self.nodes
            if node.live and (node.serves.queues is None or queue in node.serves.queues)
        ]

    def is_served(self, queue: str) -> bool:
        """Return True if a live node takes from a queue, or none is live at all."""
        return bool(self.serving(queue)) or not any(node.live for node in self.nodes)

    def furthest_behind(self, most: int) -> list[str]:
        """Return the names of so many queues at most, those with the oldest jobs, in order."""
        names = self.queues
        if len(names) > most:
            names = sorted(names, key=self._oldest, reverse=True)[:most]
        return sorted(names)

    def _oldest(self, queue: str) -> float:
        return max((lane.oldest_ready or 0.0 for lane in self.lanes_of.get(queue, ())), default=0.0)


class SharedRead(Generic[T]):
    """A read of the store whose answer is shared for a while, and made by one thread at a time."""

    def __init__(self, read: Callable[[], T], least: float = LEAST_KEPT) -> None:
        self._read = read
        self._least = least
        self._lock = Lock()
        self._until = 0.0
        self._value: T

    def get(self) -> T:
        """Return the answer, which may be a little old."""
        with self._lock:
            began = monotonic()
            if began >= self._until:
                self._value = self._read()
                ended = monotonic()
                self._until = ended + max(self._least, SHARE * (ended - began))
            return self._value

    def forget(self) -> None:
        """Read anew when it is asked for next."""
        with self._lock:  # a read that goes on may have begun before what is to be seen
            self._until = 0.0


class Site:
    """A queue with the reads that its pages share, and what is hidden from them."""

    def __init__(self, queue: Queue, redact: Collection[str]) -> None:
        self.queue = queue
        self.redaction = Redaction(redact, self._parameters)
        self.samples = Samples()
        self.counts = SharedRead(self._read_counts)
        self.running = SharedRead(self._read_running)
        self.failures = SharedRead(self._read_failures)
        self.recent = SharedRead(self._read_recent)
        self._pasts: dict[PastKey, SharedRead[tuple[datetime, list[StatsPoint]]]] = {}

    @property
    def store(self) -> JobStore:
        """The queue's store."""
        return self.queue.store

    def points(
        self, seconds: float, every: float, queue: str | None
    ) -> tuple[datetime, list[StatsPoint]]:
        """Return a point for `every` so many seconds of the past, of one queue or all; and when.

        They are kept as long as a twelfth of that: a day takes a tenth of a second to be read.
        """
        read = self._pasts.get((seconds, queue))
        if read is None:
            least = max(LEAST_KEPT, every / POINTS_KEPT)
            wanted = Wanted(queue)
            read = SharedRead(lambda: self._read_past(seconds, every, wanted), least)
            if len(self._pasts) >= MOST_PASTS:
                self._pasts.clear()
            self._pasts[seconds, queue] = read
        return read.get()

    def _read_past(
        self, seconds: float, every: float, wanted: Wanted
    ) -> tuple[datetime, list[StatsPoint]]:
        past = past_of(self.store, seconds, every, wanted)
        return past.now, past.points()

    def changed(self) -> None:
        """Show what has just been changed, and nothing older."""
        for read in (self.counts, self.running, self.failures):
            read.forget()

    def _read_counts(self) -> Counts:
        store = self.store
        lanes, records = store.lanes(), records_of(store)
        by_queue = sorted(lanes, key=queue_of)
        counts = Counts(
            at=utc_now(),
            by_queue=store.stats(),
            lanes=lanes,
            lanes_of={name: list(some) for name, some in groupby(by_queue, queue_of)},
            paused=store.paused(),
            nodes=nodes_of(store, records),
            lost=lost_nodes_of(store),
            unclaimable=unclaimable(lanes, records),
        )
        newest = store.jobs(JobFilter(), limit=1)
        waiting, running = counts.of(JobState.PENDING), counts.of(JobState.RUNNING)
        self.samples.add(waiting, running, newest[0].key if newest else None)
        return counts

    def _read_recent(self) -> Recent:
        return Recent(self.store, self.counts.get().lanes, RECENT_SECONDS)

    def _read_running(self) -> list[JobRecord]:
        wanted = JobFilter(status=JobState.RUNNING)
        return self.store.jobs(wanted, limit=MOST_RUNNING, oldest_first=True)

    def _read_failures(self) -> RecentFailures:
        seen = self.failure_seen
        return recent_failures(self.store, failed_jobs(), seen, MOST_FAILURES, MOST_SECONDS)

    def failure_seen(self, record: JobRecord) -> FailureSeen:
        """Return what a failed job has to do with others, without what is hidden."""
        message = "" if record.failure is None else record.failure.message
        return failure_seen(record, self.redaction.of(record).text(message))

    def _parameters(self, task: str) -> list[str]:
        known = (one for one in self.queue.tasks if one.name == task)
        return [name for one in known for name in names_by_place(one.function)]
