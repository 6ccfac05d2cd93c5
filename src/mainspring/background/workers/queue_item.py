"""An item of a queue, with a future for what becomes of it if somebody asks."""

from __future__ import annotations

import itertools
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

log = logging.getLogger("mainspring.supervision")

_order = itertools.count()


class QueueItem:
    """Sorts like its item; two that are equal, or not to be compared, in the order of their put.

    Comparing never raises: in the middle of a heap's work that would lose an item.
    """

    __slots__ = ("_order", "future", "item")

    def __init__(self, item: Any, future: Future[Any] | None = None) -> None:
        self.item = item
        self.future = future
        self._order = next(_order)

    def __repr__(self) -> str:
        return f"QueueItem({self.item!r})"

    def __lt__(self, other: QueueItem) -> bool:
        earlier = self._order < other._order
        with suppress(Exception):
            return bool(self.item < other.item or (earlier and not other.item < self.item))
        return earlier

    def begin(self) -> bool:
        """Return whether it is to be run: it is not once who holds the future has cancelled that.

        From here on it can't be cancelled.
        """
        return self.future is None or self.future.set_running_or_notify_cancel()

    def settle(self, result: Any) -> None:
        """Set the future's result."""
        if self.future is not None:
            _settle(self.future.set_result, result)

    def fail(self, error: BaseException) -> None:
        """Set the future's error."""
        if self.future is not None:
            _settle(self.future.set_exception, error)


def as_queue_item(item: object) -> QueueItem:
    """Return an item as a queue item, which it may be already."""
    return item if type(item) is QueueItem else QueueItem(item)


def _settle(settle: Callable[[Any], None], what: object) -> None:
    """Settle a future whose callbacks are somebody else's, and may even ask for an exit."""
    try:
        settle(what)
    except BaseException:
        log.exception("a callback of an item's future raised")
