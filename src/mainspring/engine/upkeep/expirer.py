"""The end of jobs that have waited past their expiry."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.protocols import Controls


class Expirer:
    """Cancels jobs that wait past their expiry, in small batches."""

    BATCH = 500

    def __init__(self, store: Controls) -> None:
        self._store = store

    def expire(self) -> None:
        """Cancel one batch after the other until none is left."""
        while self._store.expire(limit=self.BATCH) == self.BATCH:
            pass
