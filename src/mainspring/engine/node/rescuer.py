"""The look after other nodes: jobs are taken from those that are lost, which is written down."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.engine.node.board import begun_on, board_of, find_dead, remove_orphans
from mainspring.engine.node.host import shares_locks, this_host
from mainspring.errors import StoreError
from mainspring.model.capabilities import NOTHING, capabilities_of
from mainspring.model.events import NodeRescued
from mainspring.model.lost_node import LOST, loss_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.engine.node.board import DeadBoard
    from mainspring.engine.node.node import Node
    from mainspring.model.events import Event
    from mainspring.model.job import Rescued
    from mainspring.model.view import NodeRecord
    from mainspring.protocols import JobStore

log = logging.getLogger("mainspring.engine")


class Rescuer:
    """Looks for lost nodes and takes their jobs from them."""

    def __init__(
        self, store: JobStore, node: Node, publish: Callable[[Event], None], *, lease: float
    ) -> None:
        self._store = store
        self._node = node
        self._publish = publish
        self._lease = lease
        self._trusts_leases_from = 0.0
        self._host = this_host()

    def look(self) -> None:
        """Look at every other node once."""
        try:
            nodes = self._store.nodes()
            if any(node.key == self._node.key and node.expires_in <= 0 for node in nodes):
                # Its own has run out, too, and it lives: the store's clock was set forward, the
                # host slept, or nobody could write. Who lives must renew before the others judge.
                self._trusts_leases_from = monotonic() + self._lease
            for other in nodes:
                if other.key != self._node.key:
                    self._look_at(other)
            self._sweep({node.name for node in nodes})
        except StoreError:
            # After an outage all leases have run out: who is back first must let others renew.
            self._trusts_leases_from = monotonic() + self._lease
            raise

    def _look_at(self, other: NodeRecord) -> None:
        path = board_of(self._store.run_dir, other.name)
        tells = path is not None and shares_locks(other, self._host)
        if path is not None and tells and (board := find_dead(path)) is not None:
            self._bury(other, board)
        elif other.expires_in <= 0 and monotonic() >= self._trusts_leases_from:
            begun = None if path is None else begun_on(path)
            self._report(other, self._store.rescue(other.key, dead=False, begun=begun))

    def _sweep(self, known: set[str]) -> None:
        if self._store.run_dir is not None:
            remove_orphans(self._store.run_dir, known)

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
            self._publish(NodeRescued(other.name, requeued, failed, rescued))
            self._write_down(other, rescued)

    def _write_down(self, other: NodeRecord, rescued: Rescued) -> None:
        """Keep for views that a node was lost: its row is seen no more. Not of one without queues.

        Its jobs are rescued, also if this can't be written.
        """
        if capabilities_of(other).queues == NOTHING.queues:
            return
        try:
            self._store.add_entry(LOST, loss_text(other, rescued))
        except StoreError as error:
            log.warning("views will not show that node %s was lost: %s", other.name, error)
