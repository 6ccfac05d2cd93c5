"""The memory store."""

from mainspring.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
