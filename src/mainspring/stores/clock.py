"""The clock a store owns, and how a store writes a moment down: microseconds since the epoch."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from mainspring.clock import EPOCH, monotonic, wall_clock

MICROS = 1_000_000
"""Stored time units in a second."""


class Clock(Protocol):
    """The clock of a store. Both answers are in seconds."""

    def now(self) -> float:
        """Return the seconds since the epoch: the wall clock, which may jump."""
        ...

    def monotonic(self) -> float:
        """Return the clock that `Outcome.began` and `Outcome.ended` are read from."""
        ...


class SystemClock:
    """The clocks of this machine."""

    now = staticmethod(wall_clock)
    monotonic = staticmethod(monotonic)


class Moment:
    """One reading of both clocks: turns durations and monotonic times into stored time."""

    __slots__ = ("micros", "shift")

    def __init__(self, clock: Clock) -> None:
        self.micros = int(clock.now() * MICROS)
        self.shift = self.micros - int(clock.monotonic() * MICROS)

    def after(self, delay: float) -> int:
        """Return the stored time `delay` seconds from now (negative: ago)."""
        return self.micros + int(delay * MICROS)

    def at(self, monotonic: float) -> int:
        """Return the stored time of a monotonic time, by its age."""
        return self.shift + int(monotonic * MICROS)

    def monotonic(self, micros: int) -> float:
        """Return the monotonic time of a stored time."""
        return (micros - self.shift) / MICROS


def as_datetime(micros: int) -> datetime:
    """Return a stored time as an aware UTC datetime."""
    return EPOCH + timedelta(microseconds=micros)


def as_micros(instant: datetime) -> int:
    """Return an aware instant as stored time."""
    return (instant - EPOCH) // timedelta(microseconds=1)
