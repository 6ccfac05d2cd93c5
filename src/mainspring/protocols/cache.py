"""The seam between what is cached and where."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Protocol


class CacheAdapter(Protocol):
    """Keeps results by key: subclass it, or write a class that looks the same.

    Its methods are awaited on the loop of the pool, or for a queue on one of the cache's own. Keys
    begin with `task_cache:`. Values come as they are; an adapter that stores them elsewhere
    encodes them. What it raises costs a log line and fails no task.
    """

    @abstractmethod
    async def get(self, key: str) -> tuple[bool, Any]:
        """Return whether there is a value that has not expired, and the value."""
        ...

    @abstractmethod
    async def set(self, key: str, value: Any, ttl: int | None = None) -> None:
        """Keep a value for `ttl` whole seconds, or for good."""
        ...

    @abstractmethod
    async def delete(self, key: str) -> bool:
        """Drop a value; return whether there was one."""
        ...

    @abstractmethod
    async def clear(self) -> None:
        """Drop every value."""
        ...
