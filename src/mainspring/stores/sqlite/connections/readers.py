"""Connections that only read, lent to one thread at a time."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from mainspring.stores.sqlite.file.database import DatabaseFile

PRAGMAS = ("PRAGMA query_only = ON", "PRAGMA temp_store = MEMORY")
KEPT = 4
"""Idle connections that are kept open."""


class Loan:
    """A connection lent for a block; `contextmanager` would cost as much as a query."""

    __slots__ = ("_connection", "_file", "_give_back")

    def __init__(
        self,
        connection: sqlite3.Connection,
        give_back: Callable[[sqlite3.Connection], None],
        file: DatabaseFile,
    ) -> None:
        self._connection = connection
        self._give_back = give_back
        self._file = file

    def __enter__(self) -> sqlite3.Connection:
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._give_back(self._connection)
        self._file.explain(error)


class Readers:
    """A few reading connections. A statement is read to its end, so that none holds the log.

    `ready` sees that the file exists and has our schema.
    """

    def __init__(self, file: DatabaseFile, ready: Callable[[], None]) -> None:
        self._file = file
        self._ready = ready
        self._gate = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._lent = 0
        self._watch: sqlite3.Connection | None = None

    def lend(self) -> Loan:
        """Lend a connection for a block."""
        self._ready()
        return Loan(self._take(), self._give_back, self._file)

    def data_version(self) -> int:
        """Return a number that changes when anybody has committed anything."""
        self._ready()
        with self._gate:
            if self._watch is None:
                self._watch = self._connect()
            return int(self._watch.execute("PRAGMA data_version").fetchone()[0])

    def _take(self) -> sqlite3.Connection:
        with self._gate:
            connection = self._idle.pop() if self._idle else self._connect()
            self._lent += 1
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = self._file.connect()
        for pragma in PRAGMAS:
            connection.execute(pragma).fetchall()
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._gate:
            self._lent -= 1
            if len(self._idle) < KEPT:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close what is not lent; the next use opens again."""
        with self._gate:
            self._close()

    def suspend(self, patience: float) -> bool:
        """Close all and lend none until `resume`; False: they were not back in time.

        `patience` is in seconds.
        """
        deadline = time.monotonic() + patience
        while self._gate.acquire(timeout=patience):
            if not self._lent:
                self._close()
                return True
            self._gate.release()
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
        return False

    def resume(self) -> None:
        """End a suspension."""
        self._gate.release()

    def _close(self) -> None:
        while self._idle:
            self._idle.pop().close()
        if self._watch is not None:
            self._watch.close()
            self._watch = None
