"""The nodes of a queue as values, and the jobs that none of them would take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import DecodeError, Struct, json

from mainspring.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mainspring.model.view import LaneRecord, NodeRecord
    from mainspring.protocols import Catalog


class Serves(Struct, frozen=True):
    """What a node runs: these tasks, of these queues (None: of any)."""

    tasks: frozenset[str] = frozenset()
    queues: frozenset[str] | None = None

    def takes(self, lane: LaneRecord) -> bool:
        """Whether it claims the jobs of that task and queue."""
        return lane.task in self.tasks and (self.queues is None or lane.queue in self.queues)


_decode_serves = json.Decoder(Serves).decode
_decode_report = json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """A node at one moment: a process that drains queues.

    `live`: its lease still runs, for `expires_in` seconds. `running` counts its jobs, `report` is
    what it says of itself.
    """

    name: str
    host: str
    pid: int
    live: bool
    expires_in: float
    running: int
    serves: Serves
    report: Mapping[str, Any]


def node_info(record: NodeRecord) -> NodeInfo:
    """Return a node as users read it."""
    return NodeInfo(
        name=record.name,
        host=record.host,
        pid=record.pid,
        live=record.expires_in > 0,
        expires_in=record.expires_in,
        running=record.running,
        serves=_serves(record.serves),
        report=_report(record.report),
    )


def stats_of(catalog: Catalog) -> dict[str, Any]:
    """Return the number of jobs by state, by queue and state, and of those nobody would take."""
    by_queue = catalog.stats()
    states = {
        state.value: sum(counts.get(state, 0) for counts in by_queue.values()) for state in JobState
    }
    lost = unclaimable(catalog.lanes(), catalog.nodes())
    return {**states, "queues": by_queue, "unclaimable": lost}


def unclaimable(lanes: Iterable[LaneRecord], nodes: Iterable[NodeRecord]) -> int:
    """Return the number of waiting jobs that no live node would take."""
    serving = [info.serves for info in map(node_info, nodes) if info.live]
    return sum(lane.pending for lane in lanes if not any(serves.takes(lane) for serves in serving))


def _serves(text: bytes) -> Serves:
    # Written by another version, or by hand: what can't be read is served by nobody.
    try:
        return _decode_serves(text)
    except (DecodeError, UnicodeDecodeError):
        return Serves()


def _report(text: bytes) -> Mapping[str, Any]:
    try:
        return _decode_report(text)
    except (DecodeError, UnicodeDecodeError):
        return {}
