"""Jobs that no live node would take: their task is known to none, or not in their queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from mainspring.model.events import JobsUnclaimable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mainspring.model.events import Event
    from mainspring.model.view import LaneRecord, NodeRecord
    from mainspring.protocols import Catalog


class Serves(Struct):
    """The part of a node's `serves` that says what it claims; None: anything."""

    tasks: frozenset[str] | None = None
    queues: frozenset[str] | None = None

    def covers(self, lane: LaneRecord) -> bool:
        """Whether the node claims jobs of that lane."""
        knows = self.tasks is None or lane.task in self.tasks
        return knows and (self.queues is None or lane.queue in self.queues)


_decode = Decoder(Serves).decode


def unclaimable(lanes: Iterable[LaneRecord], nodes: Iterable[NodeRecord]) -> list[LaneRecord]:
    """Return the lanes whose jobs wait and are served by no node whose lease still runs."""
    served = [_serves_of(node) for node in nodes if node.expires_in > 0]
    return [lane for lane in lanes if lane.pending and not any(one.covers(lane) for one in served)]


class Overlooked:
    """Tells which lanes nobody serves."""

    def __init__(self, store: Catalog, tell: Callable[[Event], None]) -> None:
        self._store = store
        self._tell = tell

    def look(self) -> None:
        """Look once."""
        lanes: Sequence[LaneRecord] = unclaimable(self._store.lanes(), self._store.nodes())
        if lanes:
            self._tell(JobsUnclaimable(tuple(lanes)))


def _serves_of(node: NodeRecord) -> Serves:
    try:
        return _decode(node.serves)
    except DecodeError:
        # Of a node that says it in another way nothing is known: no alarm for its sake.
        return Serves()
