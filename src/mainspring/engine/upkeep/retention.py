"""The end of jobs that have waited past their expiry, or were kept for long enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.engine.upkeep.batches import batch_sizes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.protocols import Controls


class Expirer:
    """Cancels jobs that wait past their expiry, in small batches; `on_expired` gets their keys."""

    BATCH = 500

    def __init__(
        self, store: Controls, on_expired: Callable[[Sequence[int]], object] = len
    ) -> None:
        self._store = store
        self._on_expired = on_expired

    def expire(self) -> None:
        """Cancel one batch after the other until none is left."""
        full = True
        while full:
            keys = self._store.expire(limit=self.BATCH)
            self._on_expired(keys)
            full = len(keys) == self.BATCH


class Purger:
    """Drops final jobs past their keeping time (seconds), in small batches."""

    def __init__(self, store: Controls, *, completed_after: float, failed_after: float) -> None:
        self._store = store
        self._completed_after = completed_after
        self._failed_after = failed_after

    def purge(self) -> None:
        """Drop one batch after the other until nothing is due."""
        for size in batch_sizes():
            if self._purge_batch(size) < size:
                return

    def _purge_batch(self, limit: int) -> int:
        return self._store.purge(
            completed_after=self._completed_after, failed_after=self._failed_after, limit=limit
        )
