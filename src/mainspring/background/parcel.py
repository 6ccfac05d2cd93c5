"""An item of a queue with a future for what becomes of it."""

from __future__ import annotations

import itertools
from concurrent.futures import Future
from typing import Any

_order = itertools.count()


class Parcel:
    """Sorts like its item, beside bare items too; of two equal ones the first put goes first."""

    __slots__ = ("_order", "future", "item")

    def __init__(self, item: Any) -> None:
        self.item = item
        self.future: Future[Any] = Future()
        self._order = next(_order)

    def __repr__(self) -> str:
        return f"Parcel({self.item!r})"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Parcel):
            return bool(self.item < other)
        if self.item < other.item:
            return True
        return self._order < other._order and not other.item < self.item

    def __gt__(self, other: object) -> bool:
        if isinstance(other, Parcel):
            return other < self
        return bool(other < self.item)

    def settle(self, result: Any) -> None:
        """Tell the result to who holds the future; one that was cancelled is let be."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_result(result)

    def fail(self, error: BaseException) -> None:
        """Tell the error to who holds the future; one that was cancelled is let be."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)
