"""Running jobs of nobody: their rows name a node that is not there, or one that knows nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.engine.upkeep.batches import batch_sizes
from mainspring.model.events import OrphansRescued

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.model.events import Event
    from mainspring.protocols import Store


class OrphanedJobs:
    """Rescues running jobs that no node would ever end, in small batches.

    No code of ours leaves any; whoever can write to the store can make some. `compare` has this
    node see that the store has granted it no more than it knows of.
    """

    def __init__(
        self, store: Store, compare: Callable[[], None], publish: Callable[[Event], None]
    ) -> None:
        self._store = store
        self._compare = compare
        self._publish = publish

    def rescue(self) -> None:
        """Rescue all there are."""
        self._compare()
        for size in batch_sizes():
            if self._rescue_batch(size) < size:
                return

    def _rescue_batch(self, limit: int) -> int:
        rescued = self._store.rescue_orphans(limit=limit)
        if rescued is None:
            return 0
        requeued, failed = len(rescued.requeued), len(rescued.failed)
        self._publish(OrphansRescued(requeued, failed, rescued))
        return requeued + failed + len(rescued.cancelled)
