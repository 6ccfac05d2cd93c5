"""Connections that only read, lent to one thread at a time."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.stores.sqlite.file.database import close_if_open

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from mainspring.stores.sqlite.file.database import DatabaseFile

PRAGMAS = ("PRAGMA query_only = ON", "PRAGMA temp_store = MEMORY")
KEPT = 4
"""Idle connections that are kept open."""

SUSPENSION_TIMEOUT = 5.0
"""Seconds that a reader waits for the end of a suspension, which lasts no longer than a fork."""


class BorrowedReader:
    """A connection lent for a block; `contextmanager` would cost as much as a query."""

    __slots__ = ("_connection", "_readers", "thread")

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._connection: sqlite3.Connection | None = None
        self.thread = threading.get_ident()

    def __enter__(self) -> sqlite3.Connection:
        self._readers.admit(self)
        self._connection = connection = self._readers.take()
        return connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # One that an exception went through may be in the middle of a statement.
            self._readers.put_back(connection) if error is None else connection.close()
        self._readers.dismiss(self)
        self._readers.file.explain(error)

    def end(self) -> None:
        """End a loan whose block an exception has left."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._readers.dismiss(self)


class Readers:
    """A few reading connections. A statement is read to its end, so that none holds the log.

    `ready` sees that the file exists and has our schema. There is no lock: each step on what the
    threads share is one of the interpreter's, which nothing interrupts.
    """

    def __init__(self, file: DatabaseFile, ready: Callable[[], None]) -> None:
        self.file = file
        self._ready = ready
        self._idle: deque[sqlite3.Connection] = deque()
        self._loans: dict[BorrowedReader, None] = {}
        self._watches: dict[int, sqlite3.Connection] = {}
        self._retired: deque[sqlite3.Connection] = deque()
        self._suspended = False

    def lend(self) -> BorrowedReader:
        """Lend a connection for a block."""
        self._ready()
        return BorrowedReader(self)

    def data_version(self) -> int:
        """Return a number that changes when anybody has committed anything."""
        self._ready()
        borrowed = BorrowedReader(self)
        self.admit(borrowed)
        try:
            watch = self._watches.get(0) or self._open_watch()
            return int(watch.execute("PRAGMA data_version").fetchone()[0])
        finally:
            self.dismiss(borrowed)

    def admit(self, borrowed: BorrowedReader) -> None:
        """Register a loan; during a suspension, wait for its end."""
        self._loans[borrowed] = None
        # In this order: a suspension looks for loans when it has said that there is one.
        if self._suspended:
            self.dismiss(borrowed)
            deadline = monotonic() + SUSPENSION_TIMEOUT
            while self._suspended and monotonic() < deadline:
                time.sleep(0.001)
            self._loans[borrowed] = None

    def dismiss(self, borrowed: BorrowedReader) -> None:
        """Unregister a loan."""
        self._loans.pop(borrowed, None)
        if self._retired:
            self._close_retired()

    def take(self) -> sqlite3.Connection:
        """Return a connection that nobody else has."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def put_back(self, connection: sqlite3.Connection) -> None:
        """Keep a connection for the next loan, or close it."""
        if len(self._idle) < KEPT:
            self._idle.append(connection)
        else:
            connection.close()

    def recover(self) -> None:
        """End the loans that an exception has left to nobody: all of this thread."""
        here = threading.get_ident()
        for borrowed in list(self._loans):
            if borrowed.thread == here:
                borrowed.end()

    def close(self) -> None:
        """Close what is not lent; the next use opens again."""
        with suppress(IndexError):
            while True:
                self._idle.pop().close()
        watch = self._watches.pop(0, None)
        if watch is not None:
            self._retired.append(watch)
            self._close_retired()

    def suspend(self, patience: float) -> bool:
        """Close all and lend none until `resume`; False: they were not back in time.

        `patience` is in seconds.
        """
        self._suspended = True
        deadline = monotonic() + patience
        while self._loans:
            if monotonic() > deadline:
                self._suspended = False
                return False
            time.sleep(0.001)
        self.close()
        return True

    def resume(self) -> None:
        """End a suspension."""
        self._suspended = False

    def _close_retired(self) -> None:
        """Close what was the watch, unless a thread may be asking it: that is a crash of SQLite's.

        Who asks it has registered a loan before, and the last of them closes it.
        """
        with suppress(IndexError):
            while not self._loans:
                self._retired.pop().close()

    def _open_watch(self) -> sqlite3.Connection:
        # All threads ask it the same: two must not share a statement, of which each may take a row.
        opened = None
        try:
            opened = self.file.connect(cached_statements=0)
            # A step that nothing interrupts: of two that threads have opened at once, one stays.
            watch = self._watches.setdefault(0, opened)
            if watch is not opened:
                opened.close()
            return watch  # noqa: TRY300  # else an exception could come before it
        except BaseException:
            if self._watches.get(0) is not opened:
                close_if_open(opened)
            raise

    def _connect(self) -> sqlite3.Connection:
        connection = None
        try:
            connection = self.file.connect()
            for pragma in PRAGMAS:
                connection.execute(pragma).fetchall()
            return connection  # noqa: TRY300  # else an exception could come before it
        except BaseException:
            close_if_open(connection)
            raise
