"""Connections that only read, lent to one thread at a time."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.stores.ownership import close_all, keep
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
    """A connection lent for a block; `contextmanager` would cost as much as a query.

    It moves from the idle ones to the loan and back in one step each: it is lost to no exception.
    """

    __slots__ = ("_held", "_readers", "thread")

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._held: list[sqlite3.Connection] = []
        self.thread = threading.get_ident()

    def __enter__(self) -> sqlite3.Connection:
        self._readers.admit(self)
        self._readers.take(self._held)
        return self._held[0]

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:  # or else it may be in the middle of a statement
            self._readers.put_back(self._held)
        self.end()
        self._readers.file.explain(error)

    def end(self) -> None:
        """End the loan, also one whose block an exception has left."""
        if self._held:
            close_all(self._held)
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
        self._closing: deque[sqlite3.Connection] = deque()
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
        except BaseException as error:
            self.file.explain(error)
            raise
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

    def take(self, held: list[sqlite3.Connection]) -> None:
        """Put a connection into a loan that nobody else has."""
        try:
            keep(held, deque.pop, self._idle)
        except IndexError:
            self._connect(held)

    def put_back(self, held: list[sqlite3.Connection]) -> None:
        """Keep the connection of a loan for the next one, if few are idle."""
        if held and len(self._idle) < KEPT:
            keep(self._idle, list.pop, held)

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
                keep(self._closing, deque.pop, self._idle)
        with suppress(KeyError):
            keep(self._retired, self._watches.pop, 0)
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
                keep(self._closing, deque.pop, self._retired)
        close_all(self._closing)

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

    def _connect(self, held: list[sqlite3.Connection]) -> None:
        connection = None
        try:
            connection = self.file.connect()
            for pragma in PRAGMAS:
                connection.execute(pragma).fetchall()
            held.append(connection)
        except BaseException:
            close_if_open(connection)
            raise
