"""A cache in this process: least recently used out first, each entry with a time to live."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from mainspring.cache.policy import MAX_SIZE
from mainspring.cache.separate import UNCHANGEABLE, separate
from mainspring.clock import monotonic
from mainspring.protocols import CacheAdapter

if TYPE_CHECKING:
    from collections.abc import Callable


class MemoryCache(CacheAdapter):
    """A cache in this process: at most `max_size` results (None: any number). Thread-safe.

    The least recently used goes first. Every receiver gets a copy of its own. `clock` is monotonic
    seconds. Raises InvalidOption.
    """

    exact = True
    """It takes fractions of seconds for a `ttl`."""

    instant = True
    """It never waits, and `get` never fails."""

    def __init__(
        self, max_size: int | None = 1000, *, clock: Callable[[], float] = monotonic
    ) -> None:
        MAX_SIZE("MemoryCache", "max_size", max_size)
        self._max_size = math.inf if max_size is None else max_size
        self._clock = clock
        self._entries: OrderedDict[str, tuple[Any, float]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of entries; an expired one counts until it is looked up."""
        return len(self._entries)

    async def get(self, key: str) -> tuple[bool, Any]:
        """Return whether there is a value that has not expired, and a copy of it."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return False, None
            value, expires_at = entry
            if expires_at <= self._clock():
                del self._entries[key]
                return False, None
            self._entries.move_to_end(key)
        return (True, value) if type(value) in UNCHANGEABLE else self._copy(key, value)

    def _copy(self, key: str, value: Any) -> tuple[bool, Any]:
        try:
            return True, separate(value)
        except Exception:  # noqa: BLE001  # a user's class may forbid it at any time
            with self._lock:
                self._entries.pop(key, None)
            return False, None

    async def set(self, key: str, value: Any, ttl: float | None = None) -> None:
        """Keep a copy of a value for `ttl` seconds, or until it is pushed out."""
        expires_at = math.inf if ttl is None else self._clock() + ttl
        entry = separate(value), expires_at
        with self._lock:
            self._entries[key] = entry
            self._entries.move_to_end(key)
            if len(self._entries) > self._max_size:
                self._entries.popitem(last=False)

    async def delete(self, key: str) -> bool:
        """Drop a value; return whether there was one."""
        entry = self._entries.pop(key, None)
        return entry is not None and entry[1] > self._clock()

    async def clear(self) -> None:
        """Drop every value."""
        self._entries.clear()
