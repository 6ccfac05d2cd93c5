"""Pending tasks: by priority, then in the order in which they came."""

from __future__ import annotations

import asyncio
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from mainspring.model.job import JobState

if TYPE_CHECKING:
    from mainspring.pool.record import Record

_FEW = 64


class PendingRecords:
    """Records that wait for a slot, at most `size` of them (None: as many as come)."""

    def __init__(self, size: int | None) -> None:
        self._heap: list[tuple[float, int, Record]] = []
        self._number = 0
        self._pending = 0
        self._places = None if size is None else asyncio.Semaphore(size)
        self.bounded = size is not None
        """True if places are counted."""

    def __len__(self) -> int:
        return self._pending

    @property
    def full(self) -> bool:
        """True if one more would have to wait for a place."""
        return self._places is not None and self._places.locked()

    async def place(self) -> None:
        """Wait for a place; who gets one must `push`, or `give_back`."""
        if self._places is not None:
            await self._places.acquire()

    def give_back(self) -> None:
        """Release a place."""
        if self._places is not None:
            self._places.release()

    def push(self, record: Record) -> None:
        """Add a record that waits."""
        self._number += 1
        self._pending += 1
        heappush(self._heap, (record.priority, self._number, record))

    def popleft(self) -> Record:
        """Remove and return the record whose turn it is; IndexError if none waits."""
        while True:
            record = heappop(self._heap)[2]
            if record.state is JobState.PENDING:
                break
        self._pending -= 1
        if self._places is not None:
            self._places.release()
        return record

    def dropped(self) -> None:
        """Note that a record which waited here was cancelled."""
        self._pending -= 1
        self.give_back()
        if len(self._heap) > 2 * self._pending + _FEW:
            self._heap = [item for item in self._heap if item[2].state is JobState.PENDING]
            heapify(self._heap)

    def waiting(self) -> list[Record]:
        """Return those that wait, in no order."""
        return [item[2] for item in self._heap if item[2].state is JobState.PENDING]
