"""The heartbeat of a node: each beat renews its lease, reports its state and brings orders back.

It beats at its interval, and as soon as the store notifies of orders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mainspring.engine.node.node import Node
    from mainspring.model.job import Grant

FIRST_REST = 0.02
LONGEST_REST = 1.0
"""Seconds from a notice that brought no order to the next renewal by a notice; doubles each time.

A store may notify of orders that are another node's.
"""


class Orders(Protocol):
    """Receives the results of a renewal."""

    def lose(self, key: int) -> None:
        """Handle the loss of the lease that the node had under `key`."""
        ...

    def renewed(self) -> None:
        """Handle a renewal of the lease."""
        ...

    def cancel(self, grants: Iterable[Grant]) -> None:
        """Cancel jobs: `grants` are all claims of the node whose jobs are to be cancelled."""
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
            self._trigger.repeat()
            raise
        if renewed is None:
            self._orders.lose(key)
        else:
            self._orders.renewed()
            self._hand_on(frozenset(renewed.cancel))

    def _hand_on(self, cancel: frozenset[Grant]) -> None:
        self._trigger.learn(orders=not cancel <= self._known)
        self._known = cancel
        self._orders.cancel(cancel)


class HeartbeatTrigger:
    """Fires every `interval` seconds, at once, and when the store has notified."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._wake: Callable[[], None] = _nobody
        self._next = 0.0
        self._rest = 0.0
        self._rested_at = 0.0
        self._notified = False
        self._by_notice = False
        self.closed = False

    def bind(self, wake: Callable[[], None]) -> None:
        """Set the function that ends the driver's sleep."""
        self._wake = wake

    def notify(self) -> None:
        """Note that there may be orders; in the driver's thread."""
        self._notified = True

    def learn(self, *, orders: bool) -> None:
        """Note whether the renewal brought orders that were not known."""
        if orders:
            self._rest = 0.0
        elif self._by_notice:
            self._rest = min(max(2 * self._rest, FIRST_REST), LONGEST_REST)

    def due(self, now: float) -> float | None:
        """Return the seconds until the next beat."""
        at = min(self._next, self._rested_at) if self._notified else self._next
        return at - now

    def take(self, now: float) -> tuple[object, ...]:
        """Begin a beat."""
        self._by_notice = self._notified and now < self._next
        self._notified = False
        self._next = now + self._interval
        return ()

    def done(self, now: float) -> None:
        """Rest before the next notice is heeded, if the last ones brought nothing."""
        self._rested_at = now + self._rest

    def repeat(self) -> None:
        """Beat again after the rest of a worker that has failed; in the driver's thread."""
        self._next = 0.0

    def wake(self) -> None:
        """Beat as soon as possible."""
        self._next = 0.0
        self._wake()

    def close(self) -> None:
        """Fire no more."""
        self.closed = True
        self._wake()


def _nobody() -> None:
    """Wake nobody: no driver is bound yet."""
