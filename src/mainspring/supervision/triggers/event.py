"""A trigger that fires on demand."""

from __future__ import annotations

import threading

from mainspring.supervision.triggers.continuous import WakingTrigger


class Event(WakingTrigger):
    """Fires after `fire` or `wake`; what comes before the run begins is one firing.

    A `fire` during a run is exactly one more run. With `payloads` the target gets the payload of
    the last `fire`, None after a plain `wake`.
    """

    def __init__(self, *, payloads: bool = False) -> None:
        super().__init__()
        self._payloads = payloads
        self._payload: object = None
        self._pending = False
        # Reentrant, since a signal handler may fire while its own thread is in here.
        self._lock = threading.RLock()

    def fire(self, payload: object = None) -> None:
        """Ask for a run with `payload`; from any thread."""
        with self._lock:
            self._payload = payload
            self._pending = True
        self._wake()

    def forget(self) -> None:
        """Drop a firing that no run has taken yet; from any thread."""
        with self._lock:
            self._payload = None
            self._pending = False

    @property
    def pending(self) -> bool:
        """True if it has been fired since the last run began."""
        return self._pending

    def due(self, now: float) -> float | None:  # noqa: ARG002  the seam's signature
        """Return 0 when fired, else None."""
        return 0.0 if self._pending else None

    def take(self, now: float) -> tuple[object, ...] | None:  # noqa: ARG002  the seam's signature
        """Return the payload, if the target wants it; None if the firing was dropped meanwhile."""
        with self._lock:
            if not self._pending:
                return None
            payload, self._payload = self._payload, None
            self._pending = False
        return (payload,) if self._payloads else ()

    def wake(self) -> None:
        """Fire without a payload, but keep one that waits; from any thread."""
        with self._lock:
            self._pending = True
        self._wake()
