"""The store in a Redis or Valkey server."""

from mainspring.stores.redis.store import RedisStore

__all__ = ["RedisStore"]
