"""The base of triggers that wake their driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _nobody() -> None:
    """Stand in for the wake of a driver that is not there yet."""


class WakingTrigger:
    """A trigger that ends the sleep of its driver, and is told of a run's end."""

    def __init__(self) -> None:
        self._wake: Callable[[], None] = _nobody
        self.closed = False

    def bind(self, wake: Callable[[], None]) -> None:
        """Take the function that ends the driver's sleep."""
        self._wake = wake

    def close(self) -> None:
        """Fire no more; from any thread."""
        self.closed = True
        self._wake()

    def done(self, now: float) -> None:
        """Change nothing."""
