"""A trigger that fires without a pause."""

from __future__ import annotations

from mainspring.supervision.triggers.waking import WakingTrigger


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
