"""A trigger that fires once at the moment it was last set to: for targets that set their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Alarm:
    """Fires at `at` (monotonic), then not again before it is set; None: not before that either."""

    def __init__(self, at: float | None = None) -> None:
        self._at = at
        self._wake: Callable[[], None] = _nobody
        self.closed = False

    def bind(self, wake: Callable[[], None]) -> None:
        """Set the function that ends the driver's sleep."""
        self._wake = wake

    def set(self, at: float) -> None:
        """Fire at that moment, whatever was set before; from any thread."""
        self._at = at
        self._wake()

    def due(self, now: float) -> float | None:
        """Return the seconds until it fires."""
        at = self._at
        return None if at is None else at - now

    def take(self, now: float) -> tuple[object, ...]:  # noqa: ARG002  # the seam's signature
        """Go out: the run that begins may set it again."""
        self._at = None
        return ()

    def done(self, now: float) -> None:
        """Change nothing."""

    def wake(self) -> None:
        """Fire now."""
        self.set(0.0)

    def close(self) -> None:
        """Fire no more."""
        self.closed = True
        self._wake()


def _nobody() -> None:
    """Wake nobody: no driver is bound yet."""
