"""What contenders on asyncio share: a loop in a thread of its own, on which their calls run."""

from __future__ import annotations

import asyncio
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

PATIENCE = 60.0


class OnALoop:
    """Runs coroutines and returns what they return. `keep` is the contender's own enqueue."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        Thread(target=self._loop.run_forever, daemon=True).start()
        self.kept = 0

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Return what it returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(5 * PATIENCE)

    async def keep(self, first: int, second: int) -> object:
        """Keep one job."""
        raise NotImplementedError

    def enqueue(self, first: int, second: int) -> object:
        """Keep one job."""
        self.kept += 1
        return self.run(self.keep(first, second))

    share = enqueue

    def enqueue_many(self, calls: Sequence[tuple[int, int]]) -> Sequence[object]:
        """Keep many: none of them has a call for that."""
        self.kept += len(calls)
        many: Sequence[object] = self.run(self._keep_each(calls))
        return many

    async def _keep_each(self, calls: Sequence[tuple[int, int]]) -> Sequence[object]:
        return [await self.keep(first, second) for first, second in calls]
