"""Warns about jobs that no live node can run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.capabilities import unclaimable
from mainspring.model.events import JobsUnclaimable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.model.events import Event
    from mainspring.protocols import Catalog


class UnclaimableJobs:
    """Publishes lanes that no live node serves."""

    def __init__(self, store: Catalog, publish: Callable[[Event], None]) -> None:
        self._store = store
        self._publish = publish

    def look(self) -> None:
        """Look once."""
        lanes = unclaimable(self._store.lanes(), self._store.nodes())
        if lanes:
            self._publish(JobsUnclaimable(tuple(lanes)))
