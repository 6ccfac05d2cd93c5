"""Warns about jobs that no live node can run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.capabilities import unclaimable
from mainspring.model.events import JobsUnclaimable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.model.events import Event
    from mainspring.model.view import LaneRecord
    from mainspring.protocols import Catalog


class UnclaimableJobs:
    """Publishes lanes that no live node serves; `observe` is given all that were read."""

    def __init__(
        self,
        store: Catalog,
        publish: Callable[[Event], None],
        observe: Callable[[Sequence[LaneRecord]], None],
    ) -> None:
        self._store = store
        self._publish = publish
        self._observe = observe

    def look(self) -> None:
        """Look once."""
        every = self._store.lanes()
        self._observe(every)
        lanes = unclaimable(every, self._store.nodes())
        if lanes:
            self._publish(JobsUnclaimable(tuple(lanes)))
