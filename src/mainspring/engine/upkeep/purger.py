"""The end of the time for which jobs that have ended are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.engine.upkeep.batches import batch_sizes

if TYPE_CHECKING:
    from mainspring.protocols import Controls


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
