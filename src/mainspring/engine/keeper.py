"""What keeps a store healthy while a node lives: heartbeat, rescue of lost nodes, purge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.engine.board import find_dead
from mainspring.errors import StoreError
from mainspring.model.events import NodeRescued

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.engine.board import DeadBoard
    from mainspring.engine.node import Node
    from mainspring.model.events import Event
    from mainspring.model.job import NodeRecord, Rescued
    from mainspring.protocols import Catalog, Store


class Heartbeat:
    """Renews the node's lease; calls `lost` when that comes too late."""

    def __init__(self, node: Node, lost: Callable[[], None]) -> None:
        self._node = node
        self._lost = lost

    def beat(self) -> None:
        """Renew once. A store that does not answer is an error until the lease has run out."""
        try:
            alive = self._node.renew()
        except StoreError:
            if not self._node.overdue():
                raise
            alive = False
        if not alive:
            self._lost()


class Rescuer:
    """Looks for lost nodes and takes their jobs from them."""

    def __init__(
        self, store: Store, catalog: Catalog, node: Node, tell: Callable[[Event], None]
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._node = node
        self._tell = tell

    def look(self) -> None:
        """Look at every other node once."""
        for other in self._catalog.nodes():
            if other.key != self._node.key:
                self._look_at(other)

    def _look_at(self, other: NodeRecord) -> None:
        run_dir = self._store.run_dir
        board = find_dead(run_dir / other.name) if run_dir else None
        if board is not None:
            self._bury(other, board)
        elif other.expires_in <= 0:
            self._report(other, self._store.rescue(other.key, dead=False, begun=None))

    def _bury(self, other: NodeRecord, board: DeadBoard) -> None:
        try:
            begun = board.begun()
            self._report(other, self._store.rescue(other.key, dead=True, begun=begun))
            board.remove()
        finally:
            board.close()

    def _report(self, other: NodeRecord, rescued: Rescued | None) -> None:
        if rescued is not None:
            requeued, failed = len(rescued.requeued), len(rescued.failed)
            self._tell(NodeRescued(other.name, requeued, failed))


class Purger:
    """Drops final jobs past their keeping time (seconds), in small batches."""

    BATCH = 500

    def __init__(self, store: Store, *, completed_after: float, failed_after: float) -> None:
        self._store = store
        self._completed_after = completed_after
        self._failed_after = failed_after

    def purge(self) -> None:
        """Drop one batch after the other until nothing is due."""
        while self._purge_batch() == self.BATCH:
            pass

    def _purge_batch(self) -> int:
        return self._store.purge(
            completed_after=self._completed_after,
            failed_after=self._failed_after,
            limit=self.BATCH,
        )
