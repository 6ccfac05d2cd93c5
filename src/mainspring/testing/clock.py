"""A clock for tests: it stands still until `advance` moves it."""

from __future__ import annotations

START = 1_800_000_000.0
"""Seconds since the epoch: a moment in 2027."""


class FrozenClock:
    """Both clocks of a store, moved by hand. Seconds."""

    def __init__(self) -> None:
        self._now = START
        self._monotonic = 1000.0

    def now(self) -> float:
        """Return the wall clock's time, in seconds since the epoch."""
        return self._now

    def monotonic(self) -> float:
        """Return the monotonic clock's time."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Advance the clock."""
        self._now += seconds
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock, forward or (negative) back, while no time goes by."""
        self._now += seconds
