"""A trigger that fires without a pause, and the base of those that wake their driver."""

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
        """Set the function that ends the driver's sleep."""
        self._wake = wake

    def close(self) -> None:
        """Fire no more; from any thread."""
        self.closed = True
        self._wake()

    def done(self, now: float) -> None:
        """Change nothing."""


class Continuous(WakingTrigger):
    """Fires again as soon as a run has ended."""

    def due(self, now: float) -> float | None:  # noqa: ARG002  the seam's signature
        """Return 0: always now."""
        return 0.0

    def take(self, now: float) -> tuple[object, ...]:  # noqa: ARG002  the seam's signature
        """Return no arguments."""
        return ()

    def wake(self) -> None:
        """Let the driver look again."""
        self._wake()
