"""The end of the time for which jobs that have ended are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.protocols import Controls


class Purger:
    """Drops final jobs past their keeping time (seconds), in small batches."""

    BATCH = 500

    def __init__(self, store: Controls, *, completed_after: float, failed_after: float) -> None:
        self._store = store
        self._completed_after = completed_after
        self._failed_after = failed_after

    def purge(self) -> None:
        """Drop one batch after the other until nothing is due."""
        while self._purge_batch() == self.BATCH:
            pass

    def _purge_batch(self) -> int:
        return self._store.purge(
            completed_after=self._completed_after,
            failed_after=self._failed_after,
            limit=self.BATCH,
        )
