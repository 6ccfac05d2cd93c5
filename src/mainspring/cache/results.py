"""Results by key, over an adapter that may fail: at worst the body runs once more."""

from __future__ import annotations

import asyncio
import logging
import math
from functools import partial
from typing import TYPE_CHECKING, Any

from mainspring.cache.single_flight import SingleFlight
from mainspring.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mainspring.protocols import CacheAdapter

    Call = tuple[Callable[..., Awaitable[Any]], tuple[Any, ...], dict[str, Any]]

PATIENCE = 5.0
"""Seconds that an adapter may take before a task does without it."""

QUIET_SECONDS = 60.0
"""An adapter's trouble is logged no more often than that."""

log = logging.getLogger("mainspring.cache")


class Results:
    """Looks up, runs what is missing, and keeps it; for one event loop."""

    def __init__(self, adapter: CacheAdapter) -> None:
        self.hits = self.misses = self.troubles = 0
        self._adapter = adapter
        self._exact = getattr(adapter, "exact", False)
        self.instant: bool = getattr(adapter, "instant", False)
        self._flights = SingleFlight()
        self._quiet_until = -math.inf

    async def fetch(self, key: str, ttl: float | None, call: Call) -> tuple[Any, bool]:
        """Return a value, and whether it came without making the call.

        Of equal keys at once one is called. What it raises is not kept.
        """
        if self.instant:
            # The way of a hit: one that never waits needs no limit, and its `get` never fails.
            found, value = await self._adapter.get(key)
            if found:
                self.hits += 1
                return value, True
            self.misses += 1
            return await self._flights.run(key, partial(self._run, key, ttl, call))
        # An adapter that waits is asked by one caller, or a late answer would run the body again.
        look = partial(self._look_or_run, key, ttl, call)
        (value, found), shared = await self._flights.run(key, look)
        return value, found or shared

    def find(self, key: str) -> tuple[bool, Any]:
        """Return whether an instant adapter has a value, and the value, without waiting."""
        question: Any = self._adapter.get(key)
        try:
            question.send(None)
        except StopIteration as answer:
            found, value = answer.value
            self.hits += found
            return found, value
        # A subclass of ours that waits after all: from now on it is asked as any other.
        question.close()
        self.instant = False
        return False, None

    async def delete(self, key: str) -> bool:
        """Drop a value; return whether there was one. False, too, if the adapter fails."""
        return bool(await self._ask(self._adapter.delete, key, instead=False))

    async def clear(self) -> None:
        """Drop every value."""
        await self._ask(self._adapter.clear, instead=None)

    async def _look_or_run(self, key: str, ttl: float | None, call: Call) -> tuple[Any, bool]:
        found, value = await self._get(key)
        return value if found else await self._run(key, ttl, call), found

    async def _get(self, key: str) -> tuple[bool, Any]:
        found, value = await self._ask(self._look, key, instead=(False, None))
        if found:
            self.hits += 1
        else:
            self.misses += 1
        return found, value

    async def _look(self, key: str) -> tuple[bool, Any]:
        found, value = await self._adapter.get(key)
        return found, value

    async def _run(self, key: str, ttl: float | None, call: Call) -> Any:
        function, args, kwargs = call
        value = await function(*args, **kwargs)
        seconds: Any = ttl if ttl is None or self._exact else math.ceil(ttl)
        await self._ask(self._adapter.set, key, value, seconds, instead=None)
        return value

    async def _ask(
        self, question: Callable[..., Awaitable[Any]], *details: Any, instead: Any
    ) -> Any:
        try:
            async with asyncio.timeout(PATIENCE):
                return await question(*details)
        except BaseException as error:
            # Whatever an adapter does, the task goes on, unless it was cancelled.
            if isinstance(error, asyncio.CancelledError) and _cancelled():
                raise
            self._note_trouble(error)
            return instead

    def _note_trouble(self, error: BaseException) -> None:
        self.troubles += 1
        if monotonic() >= self._quiet_until:
            self._quiet_until = monotonic() + QUIET_SECONDS
            log.warning("cache %r failed, and tasks run without it: %r", self._adapter, error)


def _cancelled() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
