"""What keeps a store healthy while a node lives: heartbeat, rescue, expiry, purge."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Protocol

from mainspring.engine.board import begun_on, find_dead
from mainspring.errors import StoreError
from mainspring.model.events import NodeRescued

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mainspring.engine.board import DeadBoard
    from mainspring.engine.node import Node
    from mainspring.engine.orders import HeartbeatTrigger
    from mainspring.model.events import Event
    from mainspring.model.job import Rescued
    from mainspring.model.view import NodeRecord
    from mainspring.protocols import Controls, JobStore, Store
    from mainspring.protocols.executor import Grant


class Orders(Protocol):
    """Who is told what a renewal brought."""

    def lose(self, key: int) -> None:
        """Learn that the lease was lost which the node had under `key`."""
        ...

    def cancel(self, grants: Iterable[Grant]) -> None:
        """Learn all claims of the node whose jobs are to be cancelled."""
        ...


class Heartbeat:
    """Renews the node's lease, and hands on what that brings: orders, or that it came too late.

    `report` gives the JSON text that says how the node is.
    """

    def __init__(
        self,
        node: Node,
        orders: Orders,
        trigger: HeartbeatTrigger,
        report: Callable[[], bytes | None],
    ) -> None:
        self._node = node
        self._orders = orders
        self._trigger = trigger
        self._report = report
        self._known: frozenset[Grant] = frozenset()

    def beat(self) -> None:
        """Renew once. The lease is lost to a rescuer, or to time when the store does not answer."""
        # Of the node that it is now: the exchange may join anew while the store is being asked.
        key = self._node.key
        try:
            renewed = self._node.renew(key, self._report())
        except BaseException:
            if self._node.overdue():
                self._orders.lose(key)
            raise
        if renewed is None:
            self._orders.lose(key)
        else:
            self._hand_on(frozenset(renewed.cancel))

    def _hand_on(self, cancel: frozenset[Grant]) -> None:
        self._trigger.learn(orders=not cancel <= self._known)
        self._known = cancel
        self._orders.cancel(cancel)


class Rescuer:
    """Looks for lost nodes and takes their jobs from them."""

    def __init__(
        self, store: JobStore, node: Node, tell: Callable[[Event], None], *, lease: float
    ) -> None:
        self._store = store
        self._node = node
        self._tell = tell
        self._lease = lease
        self._trusts_leases_from = 0.0

    def look(self) -> None:
        """Look at every other node once."""
        try:
            for other in self._store.nodes():
                if other.key != self._node.key:
                    self._look_at(other)
        except StoreError:
            # After an outage all leases have run out: who is back first must let others renew.
            self._trusts_leases_from = monotonic() + self._lease
            raise

    def _look_at(self, other: NodeRecord) -> None:
        run_dir = self._store.run_dir
        path = None if run_dir is None else run_dir / other.name
        if path is not None and (board := find_dead(path)) is not None:
            self._bury(other, board)
        elif other.expires_in <= 0 and monotonic() >= self._trusts_leases_from:
            begun = None if path is None else begun_on(path)
            self._report(other, self._store.rescue(other.key, dead=False, begun=begun))

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


class Expirer:
    """Cancels jobs that wait past their expiry, in small batches."""

    BATCH = 500

    def __init__(self, store: Controls) -> None:
        self._store = store

    def expire(self) -> None:
        """Cancel one batch after the other until none is left."""
        while self._store.expire(limit=self.BATCH) == self.BATCH:
            pass


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
