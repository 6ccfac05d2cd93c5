"""The one connection of a process that writes, and the turns its threads take on it."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from mainspring.errors import StoreBusy
from mainspring.stores.sqlite.database import check_library
from mainspring.stores.sqlite.migration import migrate, version_of
from mainspring.stores.sqlite.turnstile import Turnstile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainspring.stores.sqlite.database import DatabaseFile

CHECKPOINT_BYTES = 8 * 1024 * 1024
"""The log is folded into the database when it has grown by so much: larger logs read slower."""

LOOK_EVERY = 32
"""Transactions between two looks at the size of the log."""

CHECKPOINT = "PRAGMA wal_checkpoint(TRUNCATE)"


class Writer:
    """Write transactions: one at a time in the process, in turns with other processes."""

    def __init__(self, file: DatabaseFile) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._turnstile: Turnstile | None = None
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._commits = 0
        self._checkpoint_at_bytes = CHECKPOINT_BYTES

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold a write transaction: committed at the end of the block, or nothing of it holds."""
        with self._turn() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            self._commits += 1
            if self._commits % LOOK_EVERY == 0:
                self._limit_log(connection)

    def ready(self) -> None:
        """See that the file exists and has our schema."""
        if self._connection is None:
            with self._turn():
                pass

    def checkpoint(self) -> None:
        """Fold the log into the database as far as readers allow."""
        with self._turn() as connection:
            self._checkpoint(connection)

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self._lock:
            self._close()
            self._identity = None

    def suspend(self, patience: float) -> None:
        """Close the connection and open none until `resume`; wait so many seconds for the turn."""
        self._lock.acquire(timeout=patience)
        self._close()

    def resume(self) -> None:
        """End a suspension, in the thread that began it."""
        self._lock.release()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._turnstile is not None:
            self._turnstile.close()
            self._turnstile = None

    @contextmanager
    def _turn(self) -> Iterator[sqlite3.Connection]:
        started = time.monotonic()
        if not self._lock.acquire(timeout=self._file.busy_timeout):
            raise self._busy(started, "another thread of this process")
        try:
            with self._file.explained():
                turnstile = self._enter(started)
                try:
                    yield self._open()
                finally:
                    turnstile.leave()
        finally:
            self._lock.release()

    def _enter(self, started: float) -> Turnstile:
        if self._turnstile is None:
            check_library()
            self._file.prepare()
            self._turnstile = Turnstile(self._file.run_dir)
        if not self._turnstile.enter(self._file.busy_timeout):
            raise self._busy(started, self._turnstile.holder())
        return self._turnstile

    def _open(self) -> sqlite3.Connection:
        if self._identity is not None and self._file.identity() != self._identity:
            # SQLite goes on writing to a file that has no name any more, without a word.
            raise self._file.unusable("it was deleted or replaced", "restart this program")
        if self._connection is None:
            self._connection = self._connect()
            self._identity = self._file.identity()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        connection = self._file.connect()
        try:
            version_of(connection, self._file.path)
            for pragma in self._file.writing_pragmas():
                connection.execute(pragma).fetchall()
            migrate(connection, self._file.path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _limit_log(self, connection: sqlite3.Connection) -> None:
        with suppress(FileNotFoundError):
            if self._log_bytes() > self._checkpoint_at_bytes:
                self._checkpoint(connection)
                # A reader can keep the log long: then wait for as much again before trying again.
                self._checkpoint_at_bytes = self._log_bytes() + CHECKPOINT_BYTES

    def _log_bytes(self) -> int:
        return os.stat(self._file.wal).st_size  # noqa: PTH116  # Path.stat costs twice that

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        """Checkpoint without waiting for readers: everybody who writes would wait with us."""
        connection.execute("PRAGMA busy_timeout = 0").fetchall()
        try:
            connection.execute(CHECKPOINT).fetchall()
        finally:
            milliseconds = int(self._file.busy_timeout * 1000)
            connection.execute(f"PRAGMA busy_timeout = {milliseconds}").fetchall()

    def _busy(self, started: float, holder: str) -> StoreBusy:
        return StoreBusy(str(self._file.path), time.monotonic() - started, holder)
