"""The end of jobs that have waited past their expiry."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.protocols import Controls


class Expirer:
    """Cancels jobs that wait past their expiry, in small batches; `tell` gets their keys."""

    BATCH = 500

    def __init__(self, store: Controls, tell: Callable[[Sequence[int]], object] = len) -> None:
        self._store = store
        self._tell = tell

    def expire(self) -> None:
        """Cancel one batch after the other until none is left."""
        full = True
        while full:
            keys = self._store.expire(limit=self.BATCH)
            self._tell(keys)
            full = len(keys) == self.BATCH
