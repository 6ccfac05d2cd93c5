"""Capabilities of nodes: the tasks and queues they serve, and lanes that no live node serves."""

from __future__ import annotations

from collections.abc import Mapping  # the type of a Struct's field
from typing import TYPE_CHECKING

from msgspec import DecodeError, Struct, json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mainspring.model.view import LaneRecord, NodeRecord


class Capabilities(Struct, frozen=True):
    """Tasks and queues that a node claims jobs of; None: any, as far as is known.

    `schedules` are those whose ticks it makes, `kinds` the tasks of each kind of executor, if it
    has several.
    """

    tasks: frozenset[str] | None = None
    queues: frozenset[str] | None = None
    schedules: frozenset[str] = frozenset()
    kinds: Mapping[str, frozenset[str]] = {}

    def takes(self, lane: LaneRecord) -> bool:
        """Return True if the node may claim the jobs of that task and queue."""
        knows = self.tasks is None or lane.task in self.tasks
        return knows and (self.queues is None or lane.queue in self.queues)


NOTHING = Capabilities(frozenset(), frozenset())
"""Capabilities of a node that holds locks and drains no queue; a worker drains one at least."""

_decode = json.Decoder(Capabilities).decode


def capabilities_of(node: NodeRecord) -> Capabilities:
    """Return what a node serves: anything, if it says so in a way that can't be read.

    Another version wrote that, or somebody's hand. To say that nobody takes its jobs would be a
    false alarm; to say that it may take any hides a true one at worst while it lives.
    """
    try:
        joined = _decode(node.serves)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return Capabilities()
    try:
        later = _decode(node.report)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return joined
    if later.tasks is None:
        return joined
    return Capabilities(later.tasks, joined.queues, later.schedules, later.kinds)


def unclaimable(lanes: Iterable[LaneRecord], nodes: Iterable[NodeRecord]) -> list[LaneRecord]:
    """Return the lanes whose jobs wait and are taken by no node whose lease still runs."""
    served = [capabilities_of(node) for node in nodes if node.expires_in > 0]
    return [lane for lane in lanes if lane.pending and not any(one.takes(lane) for one in served)]
