"""A cache on a Redis or Valkey server; needs the extra `mainspring[redis]`."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from mainspring.cache.keys import PREFIX
from mainspring.errors import MissingExtra
from mainspring.model.codec import JsonCodec
from mainspring.protocols import CacheAdapter

if TYPE_CHECKING:
    from redis.asyncio import Redis

CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 2.0
SCAN = 500


class RedisCache(CacheAdapter):
    """A cache on a Redis or Valkey server: `RedisCache("redis://localhost:6379/0")`.

    Or with a client of yours, which then must be of the loop that awaits it; else each event loop
    gets connections of its own, and `await aclose()` closes those of the running one. Values are
    stored as JSON, by the rules of the durable queue's results; one that can't be is not cached.
    Raises MissingExtra.
    """

    exact = True

    def __init__(self, server: str | Redis) -> None:
        # Found out at the first task it would only be logged: a cache fails no task.
        if find_spec("redis") is None:
            raise MissingExtra("RedisCache", "redis")
        self._url = server if isinstance(server, str) else None
        self._given: Redis | None = None if isinstance(server, str) else server
        self._own: WeakKeyDictionary[asyncio.AbstractEventLoop, Redis] = WeakKeyDictionary()
        self._codec = JsonCodec(limit_bytes=64 << 20)

    async def get(self, key: str) -> tuple[bool, Any]:
        """Return whether there is a value that has not expired, and the value."""
        raw = await self._client().get(key)
        if raw is None:
            return False, None
        return True, self._codec.decode_result(raw if isinstance(raw, bytes) else raw.encode())

    async def set(self, key: str, value: Any, ttl: float | None = None) -> None:
        """Keep a value for `ttl` seconds, or for good."""
        milliseconds = None if ttl is None else max(1, round(ttl * 1000))
        await self._client().set(key, self._codec.encode_result(value), px=milliseconds)

    async def delete(self, key: str) -> bool:
        """Drop a value; return whether there was one."""
        return int(await self._client().delete(key)) > 0

    async def clear(self) -> None:
        """Drop every result, and nothing else that is on the server."""
        client = self._client()
        found = [key async for key in client.scan_iter(match=f"{PREFIX}*", count=SCAN)]
        for first in range(0, len(found), SCAN):
            await client.unlink(*found[first : first + SCAN])

    async def aclose(self) -> None:
        """Close the connections that it opened on this loop; the next use opens them again."""
        own = self._own.pop(asyncio.get_running_loop(), None)
        if own is not None:
            await own.aclose()

    def _client(self) -> Redis:
        if self._given is not None:
            return self._given
        loop = asyncio.get_running_loop()
        # Connections belong to the loop that opened them.
        if loop not in self._own:
            self._own[loop] = _connect(str(self._url))
        return self._own[loop]


def _connect(url: str) -> Redis:
    from redis.asyncio import Redis  # noqa: PLC0415  # an extra, and a second to import
    from redis.asyncio.retry import Retry  # noqa: PLC0415  # as above
    from redis.backoff import NoBackoff  # noqa: PLC0415  # as above

    # By default it tries a refused connection for seconds, while a task waits for its cache.
    return Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 1),
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
    )
