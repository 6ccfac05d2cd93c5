"""Statistics of attempts and of what waits, by queue and task: values that can be added up.

A worker counts in memory and writes a text every few seconds; texts of a minute become one, and
later those of an hour. Whoever reads a text checks it: anybody may have written it.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Raw, Struct, ValidationError, json

from mainspring.clock import EPOCH
from mainspring.model.histogram import BUCKETS, count_into
from mainspring.model.job import OutcomeKind
from mainspring.model.name import LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from mainspring.model.job import Claim, Outcome
    from mainspring.model.view import LaneRecord

WINDOW, MINUTE, HOUR = "window", "minute", "hour"
"""Kinds of entries: as workers write them, and added up."""

RECENT_HOUR = "recent hour"
"""Kind of entries that add up the minutes of a whole hour while these are still there, too.

There may be two of one hour, which say the same: who reads them takes one.
"""

MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS = 60.0, 3_600.0, 86_400.0
MONTH_SECONDS = 31 * DAY_SECONDS

MOST_LANES = 300
"""Lanes that one text tells apart, the busiest; the others of a queue are added up as task ""."""

MOST = 2**40
MOST_SECONDS = 1e9
Count = Annotated[int, Meta(ge=0, le=MOST)]
Bucket = Annotated[int, Meta(ge=0, lt=BUCKETS)]
Pairs = list[tuple[Bucket, Count]]
Lane = tuple[str, str]
"""Queue and task."""


class LaneStatistics(Struct, array_like=True, gc=False):
    """The numbers of one task in one queue, as they are written.

    Attempts that ended, by how; `wait` and `run` as buckets of a histogram with their counts.
    `ready` and `scheduled` are sums over the samples of a text, `oldest` the greatest age of a job
    that was ready, in seconds.
    """

    queue: Annotated[str, Meta(max_length=LONGEST)]
    task: Annotated[str, Meta(max_length=LONGEST)]
    completed: Count = 0
    failed: Count = 0
    retried: Count = 0
    cancelled: Count = 0
    wait: Pairs = []
    run: Pairs = []
    ready: Count = 0
    scheduled: Count = 0
    oldest: Annotated[float, Meta(ge=0, le=MOST_SECONDS)] = 0.0


class StatisticsText(Struct, array_like=True, gc=False):
    """A text: how often it was looked what waits, and the lanes that had anything to tell.

    Where it has a `total`, that is the sum of all lanes, and `queues` are those of each queue with
    several lanes, under the task "": so who draws a queue reads one of 300.
    """

    samples: Count
    lanes: list[LaneStatistics]
    queues: list[LaneStatistics] = []
    total: LaneStatistics | None = None


class LanesText(Struct, array_like=True, gc=False):
    """The same text, of which the sums are not read."""

    samples: Count
    lanes: list[LaneStatistics]


class SkimmedText(Struct, array_like=True, gc=False):
    """The same text, of which nobody has read yet what is in its parts."""

    samples: Count
    lanes: list[Raw]
    queues: list[Raw] = []
    total: Raw = Raw(b"null")


_decode = json.Decoder(LanesText).decode
_skim = json.Decoder(SkimmedText).decode
_decode_lane = json.Decoder(LaneStatistics).decode
_encode = json.Encoder().encode
_UNREADABLE = (ValidationError, ValueError, RecursionError)


class Wanted(Struct, frozen=True):
    """The lanes that are asked for: of a queue, of a task, or all, in sum."""

    queue: str | None = None
    task: str | None = None

    def fits(self, one: LaneStatistics) -> bool:
        """Return True for a lane that is asked for."""
        return self.queue in {None, one.queue} and self.task in {None, one.task}

    def parts(self, text: SkimmedText) -> list[LaneStatistics]:
        """Return what the sum is of; raises as msgspec does."""
        has_sums = bytes(text.total) != b"null"
        if has_sums and self.queue is None and self.task is None:
            return [_decode_lane(text.total)]
        if has_sums and self.task is None:
            found = [one for one in self._read(text.queues) if one.queue == self.queue]
            if found:
                return found
        return [one for one in self._read(text.lanes) if self.fits(one)]

    def _read(self, lanes: Iterable[Raw]) -> Iterator[LaneStatistics]:
        # To look for a name in the bytes costs a hundredth of reading the lane.
        names = [_encode(name) for name in (self.queue, self.task) if name is not None]
        for raw in lanes:
            if all(name in bytes(raw) for name in names):
                yield _decode_lane(raw)


class Tally:
    """The numbers of one lane, while they are counted."""

    __slots__ = (
        "cancelled",
        "completed",
        "failed",
        "oldest",
        "ready",
        "retried",
        "run",
        "scheduled",
        "wait",
    )

    def __init__(self) -> None:
        self.completed = self.failed = self.retried = self.cancelled = 0
        self.ready = self.scheduled = 0
        self.oldest = 0.0
        self.wait: defaultdict[int, int] = defaultdict(int)
        self.run: defaultdict[int, int] = defaultdict(int)

    @property
    def ended(self) -> int:
        """Jobs that came to their end."""
        return self.completed + self.failed + self.cancelled

    @property
    def weight(self) -> int:
        """A measure of how much there is to tell."""
        return self.ended + self.retried + self.ready + self.scheduled

    def add(self, other: LaneStatistics) -> None:
        """Add what was written of a lane."""
        self._add_numbers(other)
        for bucket, count in other.wait:
            self.wait[bucket] += count
        for bucket, count in other.run:
            self.run[bucket] += count

    def merge(self, other: Tally) -> None:
        """Add what was counted of another lane, or at another time."""
        self._add_numbers(other)
        for bucket, count in other.wait.items():
            self.wait[bucket] += count
        for bucket, count in other.run.items():
            self.run[bucket] += count

    def _add_numbers(self, other: Tally | LaneStatistics) -> None:
        self.completed += other.completed
        self.failed += other.failed
        self.retried += other.retried
        self.cancelled += other.cancelled
        self.ready += other.ready
        self.scheduled += other.scheduled
        self.oldest = max(self.oldest, other.oldest)

    def written(self, lane: Lane) -> LaneStatistics:
        """Return it as it is written."""
        queue, task = lane
        return LaneStatistics(
            queue=queue,
            task=task,
            completed=min(self.completed, MOST),
            failed=min(self.failed, MOST),
            retried=min(self.retried, MOST),
            cancelled=min(self.cancelled, MOST),
            wait=_pairs(self.wait),
            run=_pairs(self.run),
            ready=min(self.ready, MOST),
            scheduled=min(self.scheduled, MOST),
            oldest=round(min(self.oldest, MOST_SECONDS), 3),
        )


class _Batch:
    """The attempts of one lane in a batch."""

    __slots__ = ("idle", "others", "runs", "waits")

    def __init__(self) -> None:
        self.idle = 0  # of those that never began
        self.others: list[OutcomeKind] = []
        self.runs: list[float] = []
        self.waits: list[float] = []

    def add_to(self, tally: Tally) -> None:
        tally.completed += len(self.runs) + self.idle - len(self.others)
        for kind in self.others:
            if kind is OutcomeKind.FAILED:
                tally.failed += 1
            elif kind is OutcomeKind.CANCELLED:
                tally.cancelled += 1
            elif kind is OutcomeKind.RETRY or kind is OutcomeKind.CRASHED:
                tally.retried += 1
        count_into(tally.run, self.runs)
        count_into(tally.wait, self.waits)


class Tallies:
    """The numbers of many lanes over some time. One thread adds at a time."""

    def __init__(self) -> None:
        self.lanes: dict[Lane, Tally] = {}
        self.samples = 0

    def count(self, ended: Iterable[tuple[Claim, Outcome]]) -> None:
        """Count attempts that have ended: the way of each job, so it must cost next to nothing."""
        batches: dict[Lane, _Batch] = {}
        queue: str | None = None
        task: str | None = None
        batch, completed = _Batch(), OutcomeKind.COMPLETED
        ran, waited = batch.runs.append, batch.waits.append
        for claim, outcome in ended:
            if claim.task is not task or claim.queue is not queue:
                queue, task = claim.queue, claim.task
                batch = batches.setdefault((queue, task), _Batch())
                ran, waited = batch.runs.append, batch.waits.append
            if outcome.kind is not completed:
                batch.others.append(outcome.kind)
            if began := outcome.began:
                ran(outcome.ended - began)
                if (ready_at := claim.ready_at) is not None:
                    waited(began - ready_at)
            else:
                batch.idle += 1
        for lane, found in batches.items():
            found.add_to(self.tally(lane))

    def sample(self, lanes: Iterable[LaneRecord]) -> None:
        """Add what waits at a moment."""
        self.samples += 1
        for lane in lanes:
            if lane.pending:
                tally = self.tally((lane.queue, lane.task))
                tally.ready += lane.pending - lane.scheduled
                tally.scheduled += lane.scheduled
                tally.oldest = max(tally.oldest, lane.oldest_ready or 0.0)

    def tally(self, lane: Lane) -> Tally:
        """Return the numbers of a lane."""
        found = self.lanes.get(lane)
        if found is None:
            found = self.lanes[lane] = Tally()
        return found

    def add(self, text: bytes) -> bool:
        """Add what a text says; False, and nothing is added, if it can't be read."""
        try:
            read = _decode(text)
        except _UNREADABLE:
            return False
        self.samples += read.samples
        for one in read.lanes:
            self.tally((one.queue, one.task)).add(one)
        return True

    def add_sum(self, text: bytes, wanted: Wanted) -> bool:
        """Add what a text says of the lanes that are asked for, in sum; False as for `add`."""
        try:
            read = _skim(text)
            parts = wanted.parts(read)
        except _UNREADABLE:
            return False
        self.samples += read.samples
        for one in parts:
            self.tally(("", "")).add(one)
        return True

    def text(self, *, sums: bool = False) -> bytes:
        """Return the text that says all this; with `sums`, also of each queue, and of all."""
        lanes = [tally.written(lane) for lane, tally in _told_apart(self.lanes).items()]
        samples = min(self.samples, MOST)
        if not sums:
            return _encode(StatisticsText(samples, lanes))
        total, queues = Tally(), defaultdict[str, list[Tally]](list)
        for (queue, _), tally in self.lanes.items():
            total.merge(tally)
            queues[queue].append(tally)
        several = [
            summed(some).written((queue, "")) for queue, some in queues.items() if len(some) > 1
        ]
        return _encode(StatisticsText(samples, lanes, several, total.written(("", ""))))


def summed(tallies: Iterable[Tally]) -> Tally:
    """Return numbers of several lanes, added up."""
    total = Tally()
    for tally in tallies:
        total.merge(tally)
    return total


def _told_apart(lanes: Mapping[Lane, Tally]) -> Mapping[Lane, Tally]:
    """Return the busiest lanes, and the others of each queue added up; some queues, too."""
    if len(lanes) <= MOST_LANES:
        return lanes
    ranked = sorted(lanes, key=lambda lane: lanes[lane].weight, reverse=True)
    kept = {lane: lanes[lane] for lane in ranked[:MOST_LANES]}
    queues = {queue for queue, _ in kept}
    for lane in ranked[MOST_LANES:]:
        others = (lane[0] if lane[0] in queues else "", "")
        total = Tally()
        total.merge(kept.get(others, total))
        total.merge(lanes[lane])
        kept[others] = total
    return kept


def _pairs(counts: Mapping[int, int]) -> Pairs:
    return [(bucket, min(count, MOST)) for bucket, count in sorted(counts.items())]


def period_of(at: datetime, seconds: float) -> datetime:
    """Return the beginning of the period of so many seconds that a moment is in."""
    length = timedelta(seconds=seconds)
    return EPOCH + (at - EPOCH) // length * length
