"""The caches of one queue's tasks, before a worker needs them; loads no asyncio."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mainspring.errors import InvalidOption

if TYPE_CHECKING:
    from mainspring.cache.policy import Cache
    from mainspring.engine.cache.cache import JobCache
    from mainspring.model.task import Registry
    from mainspring.protocols import Codec

MAX_SIZE = 10_000
"""Most results, of all tasks together, that are kept where no adapter is named."""


class CacheSetup:
    """The tasks that have a cache, and the adapter of those that name none.

    That is the file `<database>-cache` for a database in the file `database`, else memory: one for
    all workers of this queue, and in case of a file for other processes and later ones, too.
    """

    def __init__(self) -> None:
        self._file: str | None = None
        self._policies: dict[str, Cache] = {}
        self._usual: Any = None

    def locate(self, database: str | None) -> None:
        """Set the path of the database, None if it is in no file; before a worker starts."""
        # Now, not when a worker starts: what is relative is meant from here.
        self._file = None if database is None else f"{os.path.realpath(database)}-cache"

    def note(self, task: str, cache: object) -> None:
        """Set the cache policy of a task, None for no cache; raises InvalidOption."""
        if cache is None:
            self._policies.pop(task, None)
            return
        from mainspring.cache.policy import Cache  # noqa: PLC0415  # a lazy door: few have one

        if not isinstance(cache, Cache):
            expected = "a Cache, as in cache=Cache(ttl=60)"
            raise InvalidOption("cache", cache, owner=f"task {task!r}", expected=expected)
        self._policies[task] = cache

    def open(self, tasks: Registry, codec: Codec) -> JobCache:
        """Return the cache of a worker that is about to start."""
        from mainspring.engine.cache.cache import JobCache  # noqa: PLC0415  # a lazy door

        return JobCache(tasks, self._policies, self._adapter, codec)

    def close(self) -> None:
        """Let go of the file."""
        usual, self._usual = self._usual, None
        if usual is not None and self._file is not None:
            usual.close()

    def _adapter(self) -> Any:
        if self._usual is None:
            self._usual = self._new_adapter()
        return self._usual

    def _new_adapter(self) -> Any:
        if self._file is not None:
            from mainspring.cache.sqlite import SQLiteCache  # noqa: PLC0415  # a lazy door

            return SQLiteCache(self._file, max_size=MAX_SIZE)
        from mainspring.cache.memory import MemoryCache  # noqa: PLC0415  # a lazy door

        return MemoryCache(MAX_SIZE)
