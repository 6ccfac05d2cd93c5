"""A cache in a SQLite file, which outlives the process and is shared by all that open it."""

from __future__ import annotations

import asyncio
import math
import os
import sqlite3
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from mainspring.cache.policy import MAX_SIZE
from mainspring.clock import wall_clock
from mainspring.model.codec import JsonCodec
from mainspring.private_files import check_database
from mainspring.protocols import CacheAdapter

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

T = TypeVar("T")

BUSY_SECONDS = 2.0

CREATE = """
CREATE TABLE IF NOT EXISTS mainspring_task_cache (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    expires_at REAL NOT NULL,
    stored INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS mainspring_task_cache_by_end ON mainspring_task_cache (expires_at);
CREATE INDEX IF NOT EXISTS mainspring_task_cache_by_age ON mainspring_task_cache (stored);
"""
GET = "SELECT value FROM mainspring_task_cache WHERE key = ? AND expires_at > ?"
SET = """
INSERT OR REPLACE INTO mainspring_task_cache
VALUES (?, ?, ?, (SELECT coalesce(max(stored), 0) + 1 FROM mainspring_task_cache))
"""
EXPIRE = "DELETE FROM mainspring_task_cache WHERE expires_at <= ?"
PUSH_OUT = """
DELETE FROM mainspring_task_cache WHERE key IN (
    SELECT key FROM mainspring_task_cache ORDER BY stored
    LIMIT max(0, (SELECT count(*) FROM mainspring_task_cache) - ?)
)
"""
DELETE = "DELETE FROM mainspring_task_cache WHERE key = ? AND expires_at > ?"
CLEAR = "DELETE FROM mainspring_task_cache"


class SQLiteCache(CacheAdapter):
    """A cache in the file `path`, which all that open it share: at most `max_size` results.

    The oldest goes first (None: any number is kept). Values are stored as JSON, by the rules of the
    durable queue's results; one that can't be is not cached. The file is opened on first use;
    `close()` lets go of it. Thread-safe. Raises InvalidOption.
    """

    exact = True

    def __init__(self, path: str | PathLike[str], *, max_size: int | None = None) -> None:
        MAX_SIZE("SQLiteCache", "max_size", max_size)
        self._path = os.path.expanduser(os.fspath(path))  # noqa: PTH111  # a text, for SQLite
        self._max_size = max_size
        self._codec = JsonCodec(limit_bytes=64 << 20)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    async def get(self, key: str) -> tuple[bool, Any]:
        """Return whether there is a value that has not expired, and the value."""
        row = await self._run(lambda db: db.execute(GET, (key, wall_clock())).fetchone())
        return (False, None) if row is None else (True, self._codec.decode_result(row[0]))

    async def set(self, key: str, value: Any, ttl: float | None = None) -> None:
        """Keep a value for `ttl` seconds, or until it is pushed out."""
        now = wall_clock()
        raw = self._codec.encode_result(value)
        row = (key, raw, math.inf if ttl is None else now + ttl)
        await self._run(lambda db: self._store(db, row, now))

    async def delete(self, key: str) -> bool:
        """Drop a value; return whether there was one."""
        now = wall_clock()
        return await self._run(lambda db: db.execute(DELETE, (key, now)).rowcount > 0)

    async def clear(self) -> None:
        """Drop every value."""
        await self._run(lambda db: db.execute(CLEAR))

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _store(self, db: sqlite3.Connection, row: tuple[str, bytes, float], now: float) -> None:
        # In one transaction: what a writer between them would do is undone by the next.
        with db:  # the library's own, which no exception comes in the midst of
            db.execute("BEGIN IMMEDIATE")
            db.execute(EXPIRE, (now,))
            db.execute(SET, row)
            if self._max_size is not None:
                db.execute(PUSH_OUT, (self._max_size,))

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        # In a thread: a disk, or another process with the lock, must not hold up the loop.
        return await asyncio.to_thread(self._run_here, work)

    def _run_here(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            if self._connection is None:
                self._connection = _open(self._path)
            return work(self._connection)


def _open(path: str) -> sqlite3.Connection:
    if path != ":memory:":
        path = os.path.realpath(path)
        # Results may be secrets: what SQLite makes itself, others can read.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        check_database(path)
    connection = None
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        # A cache may lose its last moments to a power cut.
        connection.execute("PRAGMA synchronous = OFF")
        if path != ":memory:":
            check_database(path)  # again, now that SQLite has the log open
        connection.executescript(CREATE)
        return connection  # noqa: TRY300  # else an exception could come before it
    except BaseException:
        if connection is not None:
            connection.close()
        raise
