"""A queue by priority that costs the same however long it is: one lane for each priority."""

from __future__ import annotations

from bisect import insort
from collections import Counter, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class PriorityQueue(Generic[T]):
    """Items by priority, the lowest number first; in order within one priority."""

    __slots__ = ("_queues", "open")

    def __init__(self) -> None:
        self._queues: dict[int, deque[T]] = {}
        self.open: list[int] = []
        """The priorities of lanes that are not empty, sorted; to be read, at every call."""

    def put(self, priority: int, item: T) -> None:
        """Add an item behind those of its priority."""
        lane = self._queues.get(priority)
        if lane is None:
            self._queues[priority] = deque((item,))
        else:
            lane.append(item)
        if priority not in self.open:  # also after an exception that came right here
            insort(self.open, priority)

    def take(self) -> T:
        """Remove and return the next item; raises `IndexError` when empty."""
        priority = self.open[0]
        lane = self._queues[priority]
        item = lane.popleft()
        if not lane:
            del self.open[0], self._queues[priority]
        return item

    def drop_newest(self, priority: int) -> None:
        """Remove the item of this priority that was put last."""
        lane = self._queues[priority]
        lane.pop()
        if not lane:
            self.open.remove(priority)
            del self._queues[priority]

    def clear(self) -> list[T]:
        """Remove and return every item."""
        items = [item for priority in self.open for item in self._queues[priority]]
        self._queues.clear()
        self.open.clear()
        return items

    def counts(self) -> Counter[int]:
        """Return how many items wait, by priority."""
        return Counter({priority: len(lane) for priority, lane in list(self._queues.items())})
