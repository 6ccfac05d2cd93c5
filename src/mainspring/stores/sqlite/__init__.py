"""The SQLite store."""

from mainspring.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
