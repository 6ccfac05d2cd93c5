"""A process as a node that holds locks and runs no jobs: it joins, renews, leaves, rescues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.engine.node.node import Node
from mainspring.engine.node.rescuer import Rescuer
from mainspring.model.capabilities import NOTHING
from mainspring.telemetry.log import log_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.protocols import JobStore

REPORT_SECONDS = 1.0
"""Longest time until the store knows since when a lock is held: most are free again by then."""


class Membership:
    """One process in one store. One thread calls its verbs; any may read, or give it up.

    `report` says for views what it holds. `lease` and `heartbeat` in seconds.
    """

    def __init__(
        self, store: JobStore, report: Callable[[], bytes], *, lease: float, heartbeat: float
    ) -> None:
        self._node = Node(store, slots=0, lease=lease)
        self._node.serves = NOTHING
        self._rescuer = Rescuer(store, self._node, log_event, lease=lease)
        self._report = report
        self._lease = lease
        self._heartbeat = heartbeat
        self.joined = False
        """True while the store may know it."""
        self.lost = False
        """True once it is not to be relied upon any more, though the store may know it yet."""
        self.until = 0.0
        """The time (monotonic) until which the lease runs for certain."""
        self.renew_at = 0.0

    @property
    def key(self) -> int:
        """Its key in the store."""
        return self._node.key

    @property
    def holds(self) -> bool:
        """True while what it holds is its own, as far as this process knows."""
        return self.joined and not self.lost

    def lapsed(self) -> bool:
        """Return whether the lease may have run out by now, as far as this process knows."""
        return self.joined and monotonic() >= self.until

    def attend(self, *, needed: bool) -> bool:
        """Join, renew or leave, as is due; False: it learns that the store knows it no more."""
        if self.joined and (self.lost or not needed):
            self._node.leave()
            self.joined = self.lost = False
        if not needed:
            return True
        if not self.joined:
            return self._renewed(self._join)
        return monotonic() < self.renew_at or self.renew()

    def renew(self) -> bool:
        """Renew the lease now; False: the store knows it no more."""
        return self._renewed(self._renew)

    def report_soon(self) -> None:
        """Renew the lease within a second, so that views learn of what is held."""
        self.renew_at = min(self.renew_at, monotonic() + REPORT_SECONDS)

    def look(self) -> None:
        """Look at every other node, and rescue those that are lost."""
        self._rescuer.look()

    def _join(self) -> bool:
        self._node.join()
        self.joined, self.lost = True, False
        return True

    def _renew(self) -> bool:
        return self._node.renew(self.key, self._report()) is not None

    def _renewed(self, verb: Callable[[], bool]) -> bool:
        """Call a verb that sets the lease anew, which counts from before the call."""
        before = monotonic()
        if not verb():
            return False
        self.until, self.renew_at = before + self._lease, before + self._heartbeat
        return True
