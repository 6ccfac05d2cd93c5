"""Gauges of what is in the store, told by one of its workers only.

By the oldest node that lives and serves metrics: each worker finds in the list of nodes whether
that is itself. No lock is held for it, and when it ends the next oldest is at its place with the
next reading; for a moment two may tell, or none, so that `max by (queue)` is the right question.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Protocol

from msgspec import DecodeError, Struct, json
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mainspring.errors import InvalidOption, ScheduleUnreadable
from mainspring.model.capabilities import unclaimable
from mainspring.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from prometheus_client import Metric

    from mainspring.model.timetable import ScheduleRecord, Timetabled
    from mainspring.model.view import LaneRecord, NodeRecord

READ_SECONDS = 5.0
"""Seconds between two readings; a scrape waits for none."""


class Readable(Protocol):
    """The part of a store that is read."""

    def stats(self) -> dict[str, dict[str, int]]:
        """Return the number of jobs by queue and state."""
        ...

    def lanes(self) -> list[LaneRecord]:
        """Return the tasks of each queue, with what waits."""
        ...

    def paused(self) -> list[str]:
        """Return the paused queues."""
        ...

    def nodes(self) -> list[NodeRecord]:
        """Return the nodes."""
        ...

    def schedules(self) -> Timetabled:
        """Return the schedules."""
        ...


class StoreGauges(Collector):
    """Reads the store when told to, and yields what was read last; `own_key` is the node's."""

    def __init__(self, store: Readable, own_key: Callable[[], int]) -> None:
        self._store = store
        self._own_key = own_key
        self._read: Sequence[Metric] = ()

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they were last."""
        yield from self._read

    def read(self) -> None:
        """Read the store, if it is this worker's turn; raises what the store raises."""
        try:
            nodes = self._store.nodes()
            reports = reporting_node(nodes) == self._own_key()
            self._read = [*self._families(nodes)] if reports else ()
        except BaseException:
            self._read = ()  # better none than old ones
            raise

    def _families(self, nodes: Sequence[NodeRecord]) -> Iterator[Metric]:
        stats, lanes, paused = self._store.stats(), self._store.lanes(), set(self._store.paused())
        by_queue: defaultdict[str, list[LaneRecord]] = defaultdict(list)
        for lane in lanes:
            by_queue[lane.queue].append(lane)
        names = sorted({*stats, *by_queue, *paused})
        yield _jobs(names, stats, by_queue)
        yield _family(
            "queue_oldest_ready_seconds",
            "Seconds for which the first of the jobs that are ready could have run.",
            {name: _oldest(by_queue[name]) for name in names},
        )
        text = "1 when the queue is paused."
        yield _family("queue_paused", text, {name: float(name in paused) for name in names})
        lost: dict[str, float] = dict.fromkeys(names, 0.0)
        for lane in unclaimable(lanes, nodes):
            lost[lane.queue] += lane.pending
        yield _family("queue_unclaimable_jobs", "Jobs that no live worker would take.", lost)
        live = sum(node.expires_in > 0 for node in nodes)
        yield GaugeMetricFamily("mainspring_nodes", "Live nodes of the store.", value=live)
        timetable = self._store.schedules()
        lags = {one.new.name: _lag(one, timetable.now) for one in timetable.schedules}
        text = "Seconds for which a tick is due and has not been made."
        yield _family("schedule_lag_seconds", text, lags, label="schedule")


def reporting_node(nodes: Iterable[NodeRecord]) -> int | None:
    """Return the key of the node that tells the store's gauges; None if none serves metrics."""
    serving = [node.key for node in nodes if node.expires_in > 0 and _serves_metrics(node)]
    return min(serving, default=None)


class _MetricsReport(Struct):
    metrics: bool = False


_decode = json.Decoder(_MetricsReport).decode


def _serves_metrics(node: NodeRecord) -> bool:
    try:
        return _decode(node.report).metrics
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _jobs(
    names: Sequence[str],
    stats: Mapping[str, Mapping[str, int]],
    lanes: Mapping[str, Sequence[LaneRecord]],
) -> Metric:
    family = GaugeMetricFamily(
        "mainspring_queue_jobs", "Jobs in the store, by state.", labels=["queue", "state"]
    )
    for name in names:
        scheduled = sum(lane.scheduled for lane in lanes.get(name, ()))
        ready = sum(lane.pending for lane in lanes.get(name, ())) - scheduled
        family.add_metric([name, "ready"], ready)
        family.add_metric([name, "scheduled"], scheduled)
        for state in JobState:
            if state is not JobState.PENDING:
                family.add_metric([name, state.value], stats.get(name, {}).get(state, 0))
    return family


def _family(name: str, text: str, values: Mapping[str, float], *, label: str = "queue") -> Metric:
    family = GaugeMetricFamily(f"mainspring_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _oldest(lanes: Iterable[LaneRecord]) -> float:
    return max((lane.oldest_ready or 0.0 for lane in lanes), default=0.0)


def _lag(schedule: ScheduleRecord, now: datetime) -> float:
    if schedule.paused:
        return 0.0
    try:
        due = schedule.next_after(schedule.last_tick)
    except (InvalidOption, ScheduleUnreadable):
        return 0.0
    return 0.0 if due is None else max(0.0, (now - due).total_seconds())
