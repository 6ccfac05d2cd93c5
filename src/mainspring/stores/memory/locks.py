"""Named locks in memory. Knows nothing of jobs, notifiers or threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.errors import LeaseLost
from mainspring.model.view import LockRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainspring.stores.clock import Moment
    from mainspring.stores.memory.change import LiveNode

Holder = tuple[int, int]
"""Node and fence."""


class MemoryLocks:
    """Each lock's holder by its name; one whose node is gone holds nothing.

    Each change is one step, so that whoever interrupts it finds it done or not.
    """

    def __init__(self, nodes: Mapping[int, LiveNode]) -> None:
        self._nodes = nodes
        self._holders: dict[str, Holder] = {}
        self.last_fence = 0

    def acquire(self, node: int, name: str, moment: Moment) -> int | None:
        """Give a node a lock; None if another has it, or the node's lease has run out."""
        asking = self._nodes.get(node)
        if asking is None:
            raise LeaseLost(str(node))
        holder, fence = self._holders.get(name, (0, 0))
        if asking.lease_until <= moment.micros or (holder != node and holder in self._nodes):
            return None
        if holder != node:
            self.last_fence = fence = self.last_fence + 1
            held = {known: one for known, one in self._holders.items() if one[0] in self._nodes}
            self._holders = {**held, name: (node, fence)}
        return fence

    def release(self, node: int, name: str, fence: int) -> bool:
        """Free a lock, if the node has it with that fence."""
        held = node in self._nodes and self._holders.get(name) == (node, fence)
        if held:
            del self._holders[name]
        return held

    def all(self) -> list[LockRecord]:
        """Return those that are held, by name."""
        return [
            LockRecord(name, node, self._nodes[node].name, fence)
            for name, (node, fence) in sorted(self._holders.items())
            if node in self._nodes
        ]
