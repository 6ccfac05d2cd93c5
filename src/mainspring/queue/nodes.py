"""The nodes of a queue as users read them, and the numbers of its jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import DecodeError, Struct, json

from mainspring.clock import moment_of
from mainspring.model.capabilities import NOTHING, capabilities_of, unclaimable
from mainspring.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from mainspring.model.capabilities import Capabilities
    from mainspring.model.view import NodeRecord
    from mainspring.protocols import Catalog


class SlotReport(Struct):
    """SlotReport of one kind of executor, as a report tells of them."""

    size: int
    running: int
    waiting: int = 0
    abandoned: int = 0


class ReportShape(Struct):
    """The parts of a report that views read."""

    slots: dict[str, SlotReport] = {}
    at: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no moment, as msgspec asks."""
        _ = self.moment

    @property
    def moment(self) -> datetime | None:
        """The moment it was made."""
        return None if self.at is None else moment_of(self.at)


_decode_report = json.Decoder(dict[str, Any]).decode
_check_report = json.Decoder(ReportShape).decode
_UNREADABLE = (DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """A node at one moment: a process that drains queues.

    `live`: its lease still runs, for `expires_in` seconds. `running` counts its jobs, `serves` are
    the tasks and queues it claims from (None: any, or it does not say) and the schedules that it
    declares, `report` is what it says of itself ({} if that can't be read), as it was at
    `reported_at` (aware UTC). `unreadable` names what the store holds no sound value of.
    """

    name: str
    host: str
    pid: int
    live: bool
    expires_in: float
    running: int
    serves: Capabilities
    report: Mapping[str, Any]
    reported_at: datetime | None = None
    unreadable: tuple[str, ...] = ()


def nodes_of(records: Iterable[NodeRecord]) -> list[NodeInfo]:
    """Return the nodes that drain queues, and not those that hold locks only."""
    nodes = [node_info(record) for record in records]
    return [node for node in nodes if node.serves.queues != NOTHING.queues]


def node_info(record: NodeRecord) -> NodeInfo:
    """Return a node as users read it."""
    report, shape = _report(record.report)
    return NodeInfo(
        name=record.name,
        host=record.host,
        pid=record.pid,
        live=record.expires_in > 0,
        expires_in=record.expires_in,
        running=record.running,
        serves=capabilities_of(record),
        report=report,
        reported_at=None if shape is None else shape.moment,
        unreadable=record.unreadable if shape is not None else (*record.unreadable, "report"),
    )


def stats_of(catalog: Catalog) -> dict[str, Any]:
    """Return the number of jobs by state, by queue and state, and of those nobody would take."""
    by_queue = catalog.stats()
    states = {
        state.value: sum(counts.get(state, 0) for counts in by_queue.values()) for state in JobState
    }
    lost = sum(lane.pending for lane in unclaimable(catalog.lanes(), catalog.nodes()))
    return {**states, "queues": by_queue, "unclaimable": lost}


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
