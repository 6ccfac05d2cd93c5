"""The one connection of a process that writes, and the turns its threads take on it."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.errors import StoreBusy, StoreError
from mainspring.stores.sqlite.file.database import check_library
from mainspring.stores.sqlite.file.log import LOOK_EVERY, Log
from mainspring.stores.sqlite.file.turnstile import Turnstile
from mainspring.stores.sqlite.schema.migration import migrate, version_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.stores.sqlite.file.database import DatabaseFile

LOOK_EVERY_SECONDS = 0.01
"""How often we look whether the file still has its name; who deletes it loses all there was."""


class Writer:
    """Write transactions: one at a time in the process, in turns with other processes.

    `with writer as connection:` is one transaction, committed at the end of the block; if the
    block raises, nothing of it holds. (No `contextmanager`: that costs a tenth of an enqueue.)
    """

    def __init__(self, file: DatabaseFile) -> None:
        self._file = file
        self._log = Log(file)
        self._lock = threading.Lock()
        self._turnstile: Turnstile | None = None
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._look_again_at = 0.0
        self._elsewhere = 0

    def __enter__(self) -> sqlite3.Connection:
        connection = self._take_turn()
        try:
            connection.execute("BEGIN IMMEDIATE")
        except BaseException as error:
            self._end_turn()
            self._file.explain(error)
            raise
        return connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        connection = self._connection
        if connection is None:  # a type-checker's question: who holds the turn has it open
            return
        try:
            if error is None:
                connection.execute("COMMIT")
                self._log.committed(connection)
        except BaseException as failure:
            self._file.explain(failure)
            raise
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._end_turn()
        self._file.explain(error)

    def run(self, statement: str, parameters: Sequence[object]) -> sqlite3.Cursor:
        """Execute one statement, as a transaction of its own."""
        connection = self._take_turn()
        try:
            cursor = connection.execute(statement, parameters)
            self._log.committed(connection)
        except BaseException as error:
            self._file.explain(error)
            raise
        finally:
            self._end_turn()
        return cursor

    def ready(self) -> None:
        """See that the file exists and has our schema."""
        if self._connection is None:
            self._take_turn()
            self._end_turn()

    def fold_log(self) -> None:
        """Fold the log into the database as far as readers allow."""
        connection = self._take_turn()
        try:
            self._log.fold(connection)
        except BaseException as error:
            self._file.explain(error)
            raise
        finally:
            self._end_turn()

    def committed_elsewhere(self) -> None:
        """Count a commit on a connection of somebody's own; fold the log when it has become long.

        Only if it is our turn just now: it fails nothing, and makes nobody wait.
        """
        self._elsewhere += 1
        if self._elsewhere % LOOK_EVERY == 0:
            with suppress(StoreError, sqlite3.Error, OSError):
                self._fold_if_long()

    def _fold_if_long(self) -> None:
        if not self._log.is_long():
            return
        connection = self._take_turn(patience=0.0)
        try:
            self._log.fold(connection)
        finally:
            self._end_turn()

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self._lock:
            self._close()
            self._identity = None

    def suspend(self, patience: float) -> bool:
        """Close the connection and open none until `resume`; False: it was not free in time.

        `patience` is in seconds.
        """
        free = self._lock.acquire(timeout=patience)
        if free:
            self._close()
        return free

    def resume(self) -> None:
        """End a suspension."""
        self._lock.release()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._turnstile is not None:
            self._turnstile.close()
            self._turnstile = None

    def _take_turn(self, patience: float | None = None) -> sqlite3.Connection:
        started = time.monotonic()
        patience = self._file.busy_timeout if patience is None else patience
        if not self._lock.acquire(timeout=patience):
            raise self._busy(started, "another thread of this process")
        try:
            self._pass(self._gate(), started, patience)
            return self._open(started)
        except BaseException as error:
            self._end_turn()
            self._file.explain(error)
            raise

    def _pass(self, turnstile: Turnstile, started: float, patience: float) -> None:
        if not turnstile.enter(patience):
            raise self._busy(started, turnstile.holder())

    def _end_turn(self) -> None:
        if self._turnstile is not None:
            self._turnstile.leave()
        self._lock.release()

    def _gate(self) -> Turnstile:
        if self._turnstile is None:
            check_library()
            self._file.prepare()
            self._turnstile = Turnstile(self._file.run_dir)
        return self._turnstile

    def _open(self, now: float) -> sqlite3.Connection:
        if self._connection is None:
            self._refuse_another_file()
            self._connection = self._connect()
            self._identity = self._file.identity()
        elif now > self._look_again_at:
            self._refuse_another_file()
            self._look_again_at = now + LOOK_EVERY_SECONDS
        return self._connection

    def _refuse_another_file(self) -> None:
        if self._identity is not None and self._file.identity() != self._identity:
            # SQLite goes on writing to a file that has no name any more, without a word.
            raise self._file.unusable("it was deleted or replaced", "restart this program")

    def _connect(self) -> sqlite3.Connection:
        connection = self._file.connect()
        try:
            version_of(connection, self._file.path)
            for pragma in self._file.writing_pragmas():
                connection.execute(pragma).fetchall()
            # Again: now SQLite has the log open, and nobody can put another in its place.
            self._file.check_owner()
            migrate(connection, self._file.path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _busy(self, started: float, holder: str) -> StoreBusy:
        return StoreBusy(str(self._file.path), time.monotonic() - started, holder)
