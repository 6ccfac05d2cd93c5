"""When the heartbeat beats: at its interval, and as soon as the store rings for orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_REST = 0.02
LONGEST_REST = 1.0
"""Seconds from a ring that brought no order to the next renewal by a ring: it doubles each time.

A store may ring for orders that are another node's.
"""


class HeartbeatTrigger:
    """Fires every `interval` seconds, at once, and when the store has rung."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._wake: Callable[[], None] = _nobody
        self._next = 0.0
        self._rest = 0.0
        self._rested_at = 0.0
        self._rung = False
        self._by_ring = False
        self.closed = False

    def bind(self, wake: Callable[[], None]) -> None:
        """Take the function that ends the driver's sleep."""
        self._wake = wake

    def ring(self) -> None:
        """Learn that there may be orders; in the driver's thread."""
        self._rung = True

    def learn(self, *, orders: bool) -> None:
        """Learn whether the renewal brought orders that were not known."""
        if orders:
            self._rest = 0.0
        elif self._by_ring:
            self._rest = min(max(2 * self._rest, FIRST_REST), LONGEST_REST)

    def due(self, now: float) -> float | None:
        """Return the seconds until the next beat."""
        at = min(self._next, self._rested_at) if self._rung else self._next
        return at - now

    def take(self, now: float) -> tuple[object, ...]:
        """Begin a beat."""
        self._by_ring = self._rung and now < self._next
        self._rung = False
        self._next = now + self._interval
        return ()

    def done(self, now: float) -> None:
        """Rest before the next ring is heeded, if the last ones brought nothing."""
        self._rested_at = now + self._rest

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
