"""Statistics as users read them: what has just been, and the past in minutes or hours."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from mainspring.errors import InvalidOption
from mainspring.model.duration import seconds_of
from mainspring.model.histogram import quantiles
from mainspring.model.statistics import (
    DAY_SECONDS,
    HOUR,
    HOUR_SECONDS,
    MINUTE,
    MINUTE_SECONDS,
    RECENT_HOUR,
    WINDOW,
    Tallies,
    Tally,
    period_of,
    summed,
)
from mainspring.model.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from mainspring.model.statistics import Lane, Wanted
    from mainspring.model.time_series import SeriesEntry
    from mainspring.model.view import LaneRecord
    from mainspring.protocols import TimeSeries

T = TypeVar("T")

MOST_TEXTS = 10_000
"""Texts that are read of each kind, the newest."""

LEAST_COVERED = 1.0
"""Seconds that a rate is over at least."""

LEAST_TREND = 30.0
"""Seconds since a look after which what waits tells of a trend."""

PIECES = 24
"""Pieces in which the last seconds are read, of a minute at least."""

LEAST_HOURLY = 4 * HOUR_SECONDS
"""Seconds from which on the last ones are read by whole hours: a tenth of the texts of a day."""

QUANTILES, FRACTIONS = ("p50", "p95", "p99"), (0.5, 0.95, 0.99)


class StatsPoint(Value, frozen=True):
    """The numbers of one minute, or of one hour, which began `at` (aware UTC).

    `completed`, `failed` and `cancelled` jobs, and attempts that were `retried`. `enqueued` is what
    must have come for as many to be left: None if it is not known what was left. `ready` and
    `scheduled` jobs are the mean over the time, `oldest` the greatest age of a ready one in
    seconds; None when nobody looked. `wait` and `run` have p50, p95 and p99 in seconds, of the
    attempts that ended; None if none did.
    """

    at: datetime
    seconds: float
    completed: int
    failed: int
    retried: int
    cancelled: int
    enqueued: float | None
    ready: float | None
    scheduled: float | None
    oldest: float | None
    wait: Mapping[str, float] | None
    run: Mapping[str, float] | None


class PastPeriod(Value, frozen=True):
    """The numbers of all lanes in a period of so many seconds; the first ones `began` then."""

    at: datetime
    began: datetime
    seconds: float
    tallies: Tallies


class Past(Value, frozen=True):
    """Periods, oldest first, as of `now`: a period of which nothing is known is left out."""

    now: datetime
    periods: Sequence[PastPeriod]

    def points(self) -> list[StatsPoint]:
        """Return a point for each period, of all its lanes."""
        points: list[StatsPoint] = []
        before: float | None = None
        for period in self.periods:
            tally, samples = summed(period.tallies.lanes.values()), period.tallies.samples
            waiting = (tally.ready + tally.scheduled) / samples if samples else None
            points.append(_point(period, tally, samples, came=_came(tally, before, waiting)))
            before = waiting
        return points


def past_of(
    store: TimeSeries, seconds: float, every: float | None = None, wanted: Wanted | None = None
) -> Past:
    """Return the past: by minutes up to a day, by hours beyond, or by `every` so many seconds.

    Of all lanes, each for itself; or in sum of those that are `wanted`, which takes a twentieth of
    the time where there are many.
    """
    by_hour = seconds > DAY_SECONDS
    past = _Periods(every or (HOUR_SECONDS if by_hour else MINUTE_SECONDS), wanted)
    # The later kinds first: what is added up meanwhile is missing once, and not there twice.
    kinds = (HOUR, MINUTE, WINDOW) if by_hour else (MINUTE, WINDOW)
    found = [store.entries(kind, newer_than=seconds, limit=MOST_TEXTS) for kind in kinds]
    for entry in (entry for some in found for entry in some.entries):
        past.add(entry)
    return past.as_of(found[-1].now)


def past_in_pieces(store: TimeSeries, seconds: float) -> Past:
    """Return the past in a few periods, which is enough for its sum: of hours if there are many.

    Of an hour that is added up already its sum is read, and not its minutes.
    """
    if seconds < LEAST_HOURLY:
        return past_of(store, seconds, max(MINUTE_SECONDS, seconds / PIECES))
    past = _Periods(HOUR_SECONDS)
    hours: set[datetime] = set()
    summed = store.entries(RECENT_HOUR, newer_than=seconds, limit=MOST_TEXTS)
    for entry in summed.entries:
        whole = period_of(entry.at, HOUR_SECONDS) == entry.at
        if whole and entry.at not in hours and past.add(entry):
            hours.add(entry.at)
    # The store's clock goes on between two reads: a minute more, and what is read twice left out.
    for newer_than, older_than in _gaps(summed.now, seconds, sorted(hours)):
        newer = newer_than if newer_than == seconds else newer_than + MINUTE_SECONDS
        found = store.entries(MINUTE, newer_than=newer, older_than=older_than, limit=MOST_TEXTS)
        for entry in found.entries:
            if period_of(entry.at, HOUR_SECONDS) not in hours:
                past.add(entry)
    fresh = store.entries(WINDOW, newer_than=seconds, limit=MOST_TEXTS)
    for entry in fresh.entries:
        past.add(entry)
    return past.as_of(fresh.now)


def _gaps(
    now: datetime, seconds: float, hours: Sequence[datetime]
) -> Iterator[tuple[float, float]]:
    """Yield the ages between which there are no whole hours."""
    begin = seconds
    for start in hours:
        age = (now - start).total_seconds()
        if age < begin:
            yield begin, age
        begin = age - HOUR_SECONDS
    yield begin, 0.0


class _Periods:
    """Texts added up by the period they are of; in sum of the lanes that are `wanted`."""

    def __init__(self, every: float, wanted: Wanted | None = None) -> None:
        self._every = every
        self._wanted = wanted
        self._tallies: dict[datetime, Tallies] = {}
        self._began: dict[datetime, datetime] = {}

    def add(self, entry: SeriesEntry) -> bool:
        """Add a text; False if it can't be read."""
        at = period_of(entry.at, self._every)
        tallies, wanted = self._tallies.setdefault(at, Tallies()), self._wanted
        self._began[at] = min(entry.at, self._began.get(at, entry.at))
        return tallies.add(entry.text) if wanted is None else tallies.add_sum(entry.text, wanted)

    def as_of(self, now: datetime) -> Past:
        """Return the periods, oldest first."""
        tallies, began = self._tallies, self._began
        known = [PastPeriod(at, began[at], self._every, tallies[at]) for at in sorted(tallies)]
        return Past(now, known)


class Recent:
    """The numbers of the last `seconds`; `lanes` is what waits now."""

    def __init__(self, store: TimeSeries, lanes: Sequence[LaneRecord], seconds: float) -> None:
        # In a few pieces: of the first one it is told what waited then, the rest is added up.
        past = past_in_pieces(store, seconds)
        first = past.periods[0].began if past.periods else past.now
        self._covered = min(seconds, max(LEAST_COVERED, (past.now - first).total_seconds()))
        self._counted: dict[Lane, Tally] = {}
        for period in past.periods:
            for lane, tally in period.tallies.lanes.items():
                self._counted.setdefault(lane, Tally()).merge(tally)
        self._now = {(one.queue, one.task): _waiting(one) for one in lanes}
        self._ago, self._then = _first_sample(past)

    @property
    def all(self) -> dict[str, Any]:
        """The numbers of all queues."""
        return self._by(lambda _: "").get("", _NOTHING.told(self._covered, self._ago))

    def by_queue(self) -> dict[str, dict[str, Any]]:
        """Return the numbers of each queue that is known by its name."""
        found = self._by(lambda lane: lane[0])
        return {name: found[name] for name in sorted(found) if name}

    def by_task(self) -> list[dict[str, Any]]:
        """Return the numbers of each task of a queue that had an attempt."""
        found = self._by(lambda lane: lane)
        busy = sorted(lane for lane, tally in self._counted.items() if tally.ended or tally.retried)
        return [{"queue": lane[0], "task": lane[1], **found[lane]} for lane in busy]

    def _by(self, group: Callable[[Lane], T]) -> dict[T, dict[str, Any]]:
        found: defaultdict[T, _Group] = defaultdict(_Group)
        for lane, tally in self._counted.items():
            found[group(lane)].tally.merge(tally)
        for lane, now in self._now.items():
            found[group(lane)].now += now
        for lane, then in self._then.items():
            found[group(lane)].then += then
        return {name: one.told(self._covered, self._ago) for name, one in found.items()}


class _Waiting(NamedTuple):
    """Numbers of jobs that wait, and of those of them that are ready."""

    jobs: float = 0.0
    ready: float = 0.0

    def __add__(self, other: tuple[float, ...]) -> _Waiting:  # type: ignore[override]  # a sum, not a longer tuple
        return _Waiting(self.jobs + other[0], self.ready + other[1])


class _Group:
    """Numbers of some lanes, then and now."""

    __slots__ = ("now", "tally", "then")

    def __init__(self) -> None:
        self.tally = Tally()
        self.now = self.then = _Waiting()

    def told(self, covered: float, ago: float | None) -> dict[str, Any]:
        """Return it as users read it; `ago` is when it was looked first."""
        tally, now, then = self.tally, self.now, self.then
        out = tally.ended / covered
        came = empty = None
        if ago is not None:
            came = max(0.0, out + (now.jobs - then.jobs) / ago)
            shrinking = (then.ready - now.ready) / ago
            empty = (now.ready / shrinking if shrinking > 0 else None) if now.ready else 0.0
        return {
            "seconds": round(covered, 3),
            "completed": tally.completed,
            "failed": tally.failed,
            "retried": tally.retried,
            "cancelled": tally.cancelled,
            "out": out,
            "in": came,
            "empty_in": empty,
            "wait": times_of(tally.wait),
            "run": times_of(tally.run),
        }


_NOTHING = _Group()


def _waiting(lane: LaneRecord) -> _Waiting:
    return _Waiting(lane.pending, lane.pending - lane.scheduled)


def _first_sample(past: Past) -> tuple[float | None, dict[Lane, _Waiting]]:
    """Return how many seconds ago it was first looked what waits, and what did, by lane."""
    for period in past.periods:
        samples = period.tallies.samples
        ago = (past.now - period.began).total_seconds()
        if period.began == period.at:  # it is of the whole period by now
            ago -= period.seconds / 2
        if samples and ago >= LEAST_TREND:
            return ago, {
                lane: _Waiting((tally.ready + tally.scheduled) / samples, tally.ready / samples)
                for lane, tally in period.tallies.lanes.items()
            }
    return None, {}


def times_of(counts: Mapping[int, int]) -> dict[str, float] | None:
    """Return p50, p95 and p99 in seconds; None of nothing."""
    found = quantiles(counts, FRACTIONS)
    return dict(zip(QUANTILES, found, strict=True)) if found else None


def _came(tally: Tally, before: float | None, waiting: float | None) -> float | None:
    if before is None or waiting is None:
        return None
    return max(0.0, tally.ended + waiting - before)


def _point(period: PastPeriod, tally: Tally, samples: int, *, came: float | None) -> StatsPoint:
    return StatsPoint(
        at=period.at,
        seconds=period.seconds,
        completed=tally.completed,
        failed=tally.failed,
        retried=tally.retried,
        cancelled=tally.cancelled,
        enqueued=came,
        ready=tally.ready / samples if samples else None,
        scheduled=tally.scheduled / samples if samples else None,
        oldest=tally.oldest if samples else None,
        wait=times_of(tally.wait),
        run=times_of(tally.run),
    )


def window_of(owner: str, name: str, value: float | timedelta, *, days: int) -> float:
    """Return a time that is looked back, in seconds, so many days at most; raises InvalidOption."""
    seconds = seconds_of(owner, name, value)
    if not 0 < seconds <= days * DAY_SECONDS:
        words = "a day" if days == 1 else f"{days} days"
        expected = f"seconds above 0, or a timedelta, of {words} at most"
        raise InvalidOption(name, value, owner=owner, expected=expected)
    return seconds
