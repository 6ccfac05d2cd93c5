"""The nodes of a queue as users read them, and the numbers of its jobs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from msgspec import DecodeError, Struct, json
from msgspec.structs import replace

from mainspring.clock import moment_of
from mainspring.engine.node.board import board_of, is_dead
from mainspring.engine.node.host import is_here, shares_locks, this_host
from mainspring.model.capabilities import NOTHING, capabilities_of, unclaimable
from mainspring.model.job import JobState
from mainspring.model.lost_node import LOST, LOST_SECONDS, LostNode, lost_node
from mainspring.queue.statistics import Recent

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from mainspring.model.capabilities import Capabilities
    from mainspring.model.view import LaneRecord, LockRecord, NodeRecord
    from mainspring.protocols import Catalog, JobStore, TimeSeries

NodeState = Literal["live", "draining", "silent", "lost"]


class SlotReport(Struct):
    """Slots of one kind of executor, as a report tells of them."""

    size: int
    running: int
    waiting: int = 0
    abandoned: int = 0


class WorkerReport(Struct):
    """A background worker of a node's process, as a report tells of it."""

    name: str
    kind: str = ""
    state: str = ""
    runs: int = 0
    errors: int = 0
    error: str | None = None
    failing: bool = False
    hanging: bool = False
    last_run: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no moment, as msgspec asks."""
        _ = self.moment

    @property
    def moment(self) -> datetime | None:
        """The moment of its last run."""
        return None if self.last_run is None else moment_of(self.last_run)


class ReportShape(Struct):
    """The parts of a report that views read."""

    slots: dict[str, SlotReport] = {}
    locks: dict[str, str] = {}
    at: str | None = None
    workers: list[WorkerReport] = []
    lease: float | None = None
    heartbeat: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no moment, as msgspec asks."""
        _ = self.moment, [moment_of(since) for since in self.locks.values()]

    @property
    def moment(self) -> datetime | None:
        """The moment it was made."""
        return None if self.at is None else moment_of(self.at)


MOST_LOST = 100
"""Lost nodes that are read, the newest."""

MISSED_BEATS = 2
"""Heartbeats that a node has missed when it counts as silent, and half its lease is over."""

_decode_report = json.Decoder(dict[str, Any]).decode
_check_report = json.Decoder(ReportShape).decode
NO_JOBS: Mapping[str, int] = MappingProxyType({})
_UNREADABLE = (DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """A node at one moment: a process that drains queues.

    `live`: its lease still runs, for `expires_in` seconds; that of a process of this host that was
    killed has run out at once. `state` is `"live"`, `"draining"` (it stops, and claims no more),
    `"silent"` (its lease still runs, but it has missed two heartbeats) or `"lost"`. `running`
    counts its jobs, `serves` are the tasks and queues it claims from (None: any, or it does not
    say) and the schedules that it declares, `report` is what it says of itself ({} if that can't
    be read), as it was at `reported_at` (aware UTC), but for `running` of each kind of its
    `slots`: that is counted by the jobs it holds at this moment. `unreadable` names what the store
    holds no sound value of. `here`: it is on this host, and in the same container as this process.
    `workers` are the background workers of its process (`name`, `kind`, `state`, `runs`, `errors`,
    `error`, `failing`, `hanging`, `moment`), as it reported them.
    """

    name: str
    host: str
    pid: int
    expires_in: float
    running: int
    serves: Capabilities
    report: Mapping[str, Any]
    reported_at: datetime | None = None
    unreadable: tuple[str, ...] = ()
    here: bool = False
    workers: Sequence[WorkerReport] = ()
    state: NodeState = "live"

    @property
    def live(self) -> bool:
        """True while its lease runs."""
        return self.state != "lost"

    @property
    def drains(self) -> bool:
        """True if it drains queues: False for one that only holds locks."""
        return self.serves.queues != NOTHING.queues


def records_of(store: JobStore) -> list[NodeRecord]:
    """Return the nodes; a lease of one that has died on this host has run out."""
    records = store.nodes()
    run_dir = store.run_dir if records else None
    here = this_host()
    return [
        replace(record, expires_in=min(record.expires_in, 0.0))
        if (board := board_of(run_dir, record.name)) is not None
        and shares_locks(record, here)
        and is_dead(board)
        else record
        for record in records
    ]


def nodes_of(store: JobStore, records: Iterable[NodeRecord]) -> list[NodeInfo]:
    """Return the nodes that drain queues, and not those that hold locks only."""
    records = list(records)
    mixed = any(record.running and capabilities_of(record).kinds for record in records)
    running = store.running_by_node() if mixed else {}
    nodes = [node_info(record, running.get(record.key, {})) for record in records]
    return [node for node in nodes if node.drains]


def node_info(record: NodeRecord, by_task: Mapping[str, int] = NO_JOBS) -> NodeInfo:
    """Return a node as users read it; `by_task` is how many jobs of each task it holds."""
    report, shape = _report(record.report)
    serves = capabilities_of(record)
    if shape is not None and shape.slots:
        busy = _busy(shape, record.running, by_task, serves.kinds)
        report = {**report, "slots": _with_busy(shape.slots, report["slots"], busy)}
    return NodeInfo(
        name=record.name,
        host=record.host,
        pid=record.pid,
        expires_in=record.expires_in,
        running=record.running,
        serves=serves,
        report=report,
        reported_at=None if shape is None else shape.moment,
        workers=() if shape is None else shape.workers,
        unreadable=record.unreadable if shape is not None else (*record.unreadable, "report"),
        here=is_here(record),
        state=_state(record, report, shape),
    )


def _state(record: NodeRecord, report: Mapping[str, Any], shape: ReportShape | None) -> NodeState:
    if record.expires_in <= 0:
        return "lost"
    if shape is None:
        return "live"
    if shape.lease is not None and shape.heartbeat is not None:
        silence = shape.lease - record.expires_in
        if silence > max(MISSED_BEATS * shape.heartbeat, shape.lease / 2):
            return "silent"
    return "draining" if report.get("draining") else "live"


def lost_nodes_of(store: TimeSeries) -> list[LostNode]:
    """Return the nodes that were lost in the last day, the newest first."""
    found = store.entries(LOST, newer_than=LOST_SECONDS, limit=MOST_LOST).entries
    return [lost for one in found if (lost := lost_node(one.at, one.text)) is not None]


def _busy(
    shape: ReportShape,
    running: int,
    by_task: Mapping[str, int],
    kinds: Mapping[str, Collection[str]],
) -> dict[str, int]:
    """Return the jobs that a node holds, by kind; of none that is not known."""
    if len(shape.slots) == 1 or not running:
        return dict.fromkeys(shape.slots, running)
    busy = {kind: sum(by_task.get(task, 0) for task in tasks) for kind, tasks in kinds.items()}
    # A task that it does not say the kind of: as its report says, then.
    known = kinds and sum(busy.values()) == sum(by_task.values())
    return {**dict.fromkeys(shape.slots, 0), **busy} if known else {}


def _with_busy(
    slots: Mapping[str, SlotReport], told: Mapping[str, Any], busy: Mapping[str, int]
) -> dict[str, Any]:
    """Return slots as they were told, with those that are busy by now.

    A node claims more than it has slots for, so that these need not wait: the others are not busy.
    """
    return {
        kind: {**told[kind], "running": min(one.size, busy.get(kind, one.running))}
        for kind, one in slots.items()
    }


def locks_of(catalog: Catalog, locks: Sequence[LockRecord]) -> list[LockRecord]:
    """Return locks with the moments since which they are held, as their holders report it."""
    if not locks:
        return []
    reports = {node.key: _report(node.report)[1] for node in catalog.nodes()}
    return [replace(lock, since=_held_since(lock, reports.get(lock.node))) for lock in locks]


def _held_since(lock: LockRecord, report: ReportShape | None) -> datetime | None:
    since = None if report is None else report.locks.get(lock.name)
    return moment_of(since) if since else None


def stats_of(store: JobStore, window: float) -> dict[str, Any]:
    """Return the number of jobs by state and by queue, how far behind they are, and the slots.

    And what has been in the last `window` seconds.
    """
    by_queue, lanes, records = store.stats(), store.lanes(), records_of(store)
    recent = Recent(store, lanes, window)
    states = {
        state.value: sum(counts.get(state, 0) for counts in by_queue.values()) for state in JobState
    }
    lanes_of: defaultdict[str, list[LaneRecord]] = defaultdict(list)
    for lane in lanes:
        lanes_of[lane.queue].append(lane)
    past, none = recent.by_queue(), {state.value: 0 for state in JobState}
    queues = {
        name: {**by_queue.get(name, none), **_backlog(lanes_of[name]), "recent": past.get(name)}
        for name in [*by_queue, *sorted(past.keys() - by_queue.keys())]
    }
    lost = sum(lane.pending for lane in unclaimable(lanes, records))
    live = [node for node in nodes_of(store, records) if node.live]
    sums = {"recent": recent.all, "tasks": recent.by_task()}
    totals = {"unclaimable": lost, "workers": len(live), "slots": _slots_of(live)}
    return {**states, **_backlog(lanes), **totals, **sums, "queues": queues}


def _backlog(lanes: Sequence[LaneRecord]) -> dict[str, Any]:
    """Return how many jobs are ready or scheduled, and for how long the oldest has been ready."""
    scheduled = sum(lane.scheduled for lane in lanes)
    ready = sum(lane.pending for lane in lanes) - scheduled
    ages = [lane.oldest_ready for lane in lanes if lane.oldest_ready is not None]
    return {"ready": ready, "scheduled": scheduled, "oldest_ready": max(ages, default=None)}


def _slots_of(nodes: Iterable[NodeInfo]) -> dict[str, dict[str, int]]:
    """Return by kind of executor how many slots there are, and how many are busy."""
    totals: dict[str, dict[str, int]] = {}
    for node in nodes:
        slots = {} if "report" in node.unreadable else node.report.get("slots", {})
        for kind, load in slots.items():
            total = totals.setdefault(kind, {"size": 0, "busy": 0})
            total["size"] += load["size"]
            total["busy"] += load["running"]
    return totals


def _report(text: bytes) -> tuple[Mapping[str, Any], ReportShape | None]:
    """Return a report, and its parts that views read; None if these can't be read."""
    try:
        report = _decode_report(text)
    except _UNREADABLE:
        return {}, None
    try:
        return report, _check_report(text)
    except _UNREADABLE:
        return report, None
