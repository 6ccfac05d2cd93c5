"""Caching of a pool's tasks: which, under which key, and for how long."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from mainspring.cache.keys import cache_key
from mainspring.cache.results import Results
from mainspring.errors import InvalidArguments
from mainspring.pool.body import PROGRESS
from mainspring.pool.options import OWNER, TIMEOUT, CachePlan

if TYPE_CHECKING:
    from mainspring.engine.attempts.pipeline import Call
    from mainspring.pool.body import Body
    from mainspring.pool.options import PoolTaskOptions
    from mainspring.pool.record import Record
    from mainspring.protocols import CacheAdapter

log = logging.getLogger("mainspring.cache")


class PoolCache:
    """The cache of one pool: `enabled` and `ttl` are for tasks that say nothing themselves."""

    def __init__(self, adapter: CacheAdapter, *, enabled: bool, ttl: float | None) -> None:
        TIMEOUT.or_none()(OWNER, "cache_ttl", ttl)
        self._enabled = enabled
        self._usual = CachePlan(None if ttl == math.inf else ttl)
        self._results = Results(adapter)
        self._warned_of: set[str] = set()

    def plan(self, options: PoolTaskOptions) -> CachePlan | None:
        """Return how a task is to be cached, None if it is not."""
        wanted = self._enabled if options.use_cache is None else options.use_cache
        if not wanted:
            return None
        if options.cache_ttl is None and options.cache_key is None:
            return self._usual
        ttl = self._usual.ttl if options.cache_ttl is None else options.cache_ttl
        return CachePlan(None if ttl == math.inf else ttl, options.cache_key)

    @property
    def instant(self) -> bool:
        """True if its adapter never waits, so that `find` can be asked."""
        return self._results.instant

    def find(self, record: Record, plan: CachePlan) -> bool:
        """Set a record's result from the cache; False if none is found without waiting."""
        record.key = self._key_of(record, plan)
        if record.key is not None and self.instant:
            record.from_cache, record.result = self._results.find(record.key)
        return record.from_cache

    async def run(self, record: Record, plan: CachePlan, call: Call) -> Any:
        """Return the cached result of a task, or what its body returns, which is then kept."""
        key = record.key or self._key_of(record, plan)
        if key is None:
            function, args, kwargs = call
            return await function(*args, **kwargs)
        value, record.from_cache = await self._results.fetch(key, plan.ttl, call)
        return value

    async def drop(
        self, body: Body, args: tuple[Any, ...], kwargs: dict[str, Any], name: str | None
    ) -> bool:
        """Drop one result; return whether there was one."""
        key = self._key(body, args, kwargs, name)
        return key is not None and await self._results.delete(key)

    async def clear(self) -> None:
        """Drop every result."""
        await self._results.clear()

    def stats(self) -> dict[str, int]:
        """Return how often it was asked in vain or not, and how often the adapter failed."""
        results = self._results
        return {"hits": results.hits, "misses": results.misses, "errors": results.troubles}

    def _key_of(self, record: Record, plan: CachePlan) -> str | None:
        assert record.call is not None, "it has not ended"  # noqa: S101
        _, args, kwargs = record.call
        return self._key(record.body, args, kwargs, plan.name)

    def _key(
        self, body: Body, args: tuple[Any, ...], kwargs: dict[str, Any], name: str | None
    ) -> str | None:
        known_as = name or body.stable_name
        if known_as is None or body.shape is None:
            self._refuse(body, "it has no name of its own; give cache_key=, or register it")
            return None
        if PROGRESS in kwargs and body.reports:
            kwargs = {key: value for key, value in kwargs.items() if key != PROGRESS}
        try:
            return cache_key(known_as, body.shape, args, kwargs)
        except InvalidArguments as error:
            self._refuse(body, str(error))
            return None

    def _refuse(self, body: Body, why: str) -> None:
        """Warn once that a task can't be cached."""
        if body.name not in self._warned_of:
            self._warned_of.add(body.name)
            log.warning("results of task %r are not cached: %s", body.name, why)
