"""The one connection of a process that writes, and the turns its threads take on it."""

from __future__ import annotations

import gc
import sqlite3
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from mainspring.clock import monotonic
from mainspring.errors import MainspringError, StoreBusy, StoreError
from mainspring.stores.ownership import is_beneath, is_called_by, is_running, let_go, owns
from mainspring.stores.sqlite.file.database import check_library, close_if_open, wait
from mainspring.stores.sqlite.file.journal_mode import mode_of, say_mode
from mainspring.stores.sqlite.file.log import LOOK_EVERY, Log
from mainspring.stores.sqlite.file.trouble import is_busy
from mainspring.stores.sqlite.file.write_lock import WriteLock
from mainspring.stores.sqlite.schema.migration import check, migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from mainspring.stores.sqlite.file.database import DatabaseFile

T = TypeVar("T")

LOOK_AFTER_SECONDS = 1.0
"""Seconds that a thread waits for another's turn before it looks whether that is still there."""

LOOK_EVERY_SECONDS = 0.01
"""Seconds between two looks whether the file still has its name; a deleted one loses all."""


class Abandoned(BaseException):
    """Stands for the exception that has ended a turn, where that is not known."""


class Writer:
    """Write transactions: one at a time in the process, in turns with other processes.

    `with writer as connection:` is one transaction, committed at the end of the block; if the
    block raises, nothing of it holds. (No `contextmanager`: that costs a tenth of an enqueue.)
    """

    def __init__(self, file: DatabaseFile) -> None:
        self._file = file
        self._log = Log(file)
        # It knows its owner by itself, whatever line of ours an exception lands at.
        self._lock = threading.RLock()
        self._replacing = threading.Lock()
        self._taker: FrameType | None = None
        self._suspended = False
        self._write_lock: WriteLock | None = None
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._look_again_at = 0.0
        self._turn_since = 0.0
        self._elsewhere = 0

    def __enter__(self) -> sqlite3.Connection:
        self.refuse_second_turn()
        try:
            connection = self._take_turn(sys._getframe(1))  # noqa: SLF001
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                self._execute_again(error, connection, "BEGIN IMMEDIATE")
        except BaseException as error:
            self._end_turn(error)
            self._file.explain(error)
            raise
        return connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        connection, failure = self._connection, error
        try:
            if error is None and connection is not None:
                connection.execute("COMMIT")
                self._log.committed(connection)
        except BaseException as raised:
            failure = raised
            self._file.explain(raised)
            raise
        finally:
            self._end_turn(failure)
            failure = None
        self._file.explain(error)

    def run(self, statement: str, parameters: Sequence[object]) -> sqlite3.Cursor:
        """Execute one statement, as a transaction of its own."""
        if owns(self._lock):
            self.refuse_second_turn()
        failure: BaseException | None = None
        # As `_in_turn`, spelled out: each enqueuing passes here.
        try:
            connection = self._take_turn(sys._getframe())  # noqa: SLF001
            try:
                cursor = connection.execute(statement, parameters)
            except sqlite3.OperationalError as error:
                cursor = self._execute_again(error, connection, statement, parameters)
            self._log.committed(connection)
        except BaseException as error:
            failure = error
            self._file.explain(error)
            raise
        finally:
            self._end_turn(failure)
            failure = None  # or else it keeps itself, by this frame, and what its other frames have
        return cursor

    def _execute_again(
        self,
        error: sqlite3.OperationalError,
        connection: sqlite3.Connection,
        statement: str,
        parameters: Sequence[object] = (),
    ) -> sqlite3.Cursor:
        """Execute what has met a transaction outside mainspring, in the time that is left.

        It may be that of a connection which its owner has dropped, as a body does that raises in
        the midst of its own: Python closes it when it collects garbage, and may never come to that.
        """
        left = self._file.busy_timeout - (monotonic() - self._turn_since)
        if not is_busy(error) or left <= 0 or self._file.busy_timeout <= self._file.first_wait:
            raise error
        gc.collect()
        wait(connection, left)
        try:
            return connection.execute(statement, parameters)
        finally:
            self._file.wait_at_first(connection)

    def ready(self) -> None:
        """See that the file exists and has our schema."""
        if self._connection is None:
            self._in_turn(lambda _connection: None)

    def look_at_file(self) -> None:
        """Refuse a file that was deleted or replaced while it is open; needs no turn."""
        if self._connection is not None:
            self._look_again(monotonic())

    def fold_log(self) -> None:
        """Fold the log into the database as far as readers allow."""
        self._in_turn(self._log.fold)

    def fold_long_log(self) -> None:
        """Fold the log if it is longer than it should be, as after a reader that kept it."""
        if self._log.is_full():
            self.fold_log()

    def committed_elsewhere(self) -> None:
        """Count a commit on a connection of somebody's own; fold the log when it has become long.

        Only if it is our turn just now: it fails nothing, and makes nobody wait.
        """
        self._elsewhere += 1
        if self._elsewhere % LOOK_EVERY == 0 and self._log.is_long():
            with suppress(StoreError, sqlite3.Error, OSError):
                self._in_turn(self._log.fold, patience=0.0)

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        self.refuse_second_turn()
        try:
            if self._acquire(self._file.busy_timeout):
                self._close()
                self._identity = None
        finally:
            let_go(self._lock)

    def suspend(self, patience: float) -> bool:
        """Close the connection and open none until `resume`; False: it was not free in time.

        `patience` is in seconds.
        """
        self.recover()
        # An exception may have ended a suspension before this one.
        again = self._suspended and self._taker is None
        self._suspended = True
        free = again if owns(self._lock) else self._acquire(patience)
        if free:
            self._close()
        return free

    def resume(self) -> None:
        """End a suspension, also one that an exception has cut short."""
        if self._taker is None:
            let_go(self._lock)
        self._suspended = False

    def busy_with_itself(self) -> StoreBusy:
        """Return the error of a thread that would have to wait for what it has interrupted."""
        return StoreBusy(str(self._file.path), 0.0, "this thread, which was interrupted")

    def recover(self) -> None:
        """End a turn that an exception has left to nobody; leave one alone that is under way."""
        if owns(self._lock) and not self._is_under_way():
            self._end_turn(Abandoned())

    def refuse_second_turn(self) -> None:
        """Raise StoreBusy in what has interrupted a turn of its own thread: it can't end then."""
        if owns(self._lock):
            self.recover()
            if owns(self._lock):
                raise self.busy_with_itself()

    def _in_turn(self, work: Callable[[sqlite3.Connection], T], patience: float | None = None) -> T:
        self.refuse_second_turn()
        failure: BaseException | None = None
        try:
            return work(self._take_turn(sys._getframe(), patience))  # noqa: SLF001
        except BaseException as error:
            failure = error
            self._file.explain(error)
            raise
        finally:
            self._end_turn(failure)
            failure = None

    def _close(self) -> None:
        self._close_connection()
        self._close_write_lock()

    def _close_write_lock(self) -> None:
        write_lock, self._write_lock = self._write_lock, None
        if write_lock is not None:  # closed twice it would close somebody else's file
            write_lock.close()

    def _close_connection(self) -> None:
        # In this order: to close twice harms nothing, one that is not noted stays open.
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _is_under_way(self) -> bool:
        """Return whether the turn that this thread has taken goes on after what it does now."""
        taker = self._taker
        if taker is None:  # no note yet, or none any more
            return self._suspended or is_called_by(Writer._take_turn, Writer._end_turn)
        return is_beneath(taker)

    def _take_turn(self, taker: FrameType, patience: float | None = None) -> sqlite3.Connection:
        now = started = monotonic()
        patience = self._file.busy_timeout if patience is None else patience
        if not self._lock.acquire(blocking=False):
            if not self._acquire(patience):
                raise self._busy(started, "another thread of this process")
            now = monotonic()
        self._taker = taker
        self._turn_since = started
        # One time for all that is waited for.
        self._pass(self._gate(now), started, max(0.0, patience - (now - started)))
        return self._open(now)

    def _acquire(self, patience: float) -> bool:
        """Acquire the lock, also if its owner has left without releasing it."""
        if self._lock.acquire(timeout=min(patience, LOOK_AFTER_SECONDS)):
            return True
        deadline = monotonic() + patience - LOOK_AFTER_SECONDS
        while (left := deadline - monotonic()) > 0:
            self._replace_abandoned()
            lock = self._lock
            if lock.acquire(timeout=min(left, LOOK_AFTER_SECONDS)):
                if lock is self._lock:
                    return True
                lock.release()
        return False

    def _replace_abandoned(self) -> None:
        """Put a new lock in the place of one that a thread has taken which is not here any more."""
        with self._replacing:
            taker = self._taker
            if taker is not None and not is_running(taker) and self._taker is taker:
                self._taker = None
                self._lock = threading.RLock()

    def _pass(self, write_lock: WriteLock, started: float, patience: float) -> None:
        if not write_lock.acquire(patience):
            raise self._busy(started, write_lock.holder())

    def _end_turn(self, error: BaseException | None) -> None:
        """End this thread's turn, however far it has come; harmless if it has none."""
        if error is None or owns(self._lock):
            try:
                self._let_go(error)
            except BaseException:
                if owns(self._lock):
                    self._let_go(Abandoned())
                raise

    def _let_go(self, error: BaseException | None) -> None:
        # The lock last: who still holds it has not done the rest, and does it again.
        connection, write_lock = self._connection, self._write_lock
        if connection is not None and (error is not None or connection.in_transaction):
            self._end_transaction(connection, error)
        if write_lock is not None:
            write_lock.release() if error is None else write_lock.release_all()
        self._taker = None
        self._lock.release() if error is None else let_go(self._lock)

    def _end_transaction(self, connection: sqlite3.Connection, error: BaseException | None) -> None:
        if error is not None and not isinstance(error, (MainspringError, sqlite3.Error)):
            # It may have come at any line, as between two settings of the connection.
            self._close_connection()
        elif connection.in_transaction:
            try:
                connection.execute("ROLLBACK")
            except sqlite3.Error:
                self._close_connection()
                raise

    def _gate(self, now: float) -> WriteLock:
        write_lock = self._write_lock
        if write_lock is not None and now > self._look_again_at and not write_lock.is_in_place():
            # Others make new files, and would write, and fold the log, in the midst of our turns.
            self._refuse_another_file()
            self._close_write_lock()
        if self._write_lock is None:
            check_library()
            self._file.prepare()
            self._write_lock = WriteLock(self._file.run_dir)
        return self._write_lock

    def _open(self, now: float) -> sqlite3.Connection:
        if self._connection is None or not self._is_clean(self._connection):
            self._refuse_another_file()
            self._connection = self._connect()
            self._identity = self._file.identity()
        else:
            self._look_again(now)
        return self._connection

    def _look_again(self, now: float) -> None:
        if now > self._look_again_at:
            self._refuse_another_file()
            self._look_again_at = now + LOOK_EVERY_SECONDS

    def _is_clean(self, connection: sqlite3.Connection) -> bool:
        """Return whether a connection is usable; roll back a transaction that nobody has begun."""
        try:
            if connection.in_transaction:
                # Nobody's: that it is our turn means that no other turn goes on.
                connection.execute("ROLLBACK")
        except sqlite3.ProgrammingError:
            return False  # it is closed, and an exception has come before that was noted
        return True

    def _refuse_another_file(self) -> None:
        known = self._identity  # another thread may forget it
        if known is not None and self._file.identity() != known:
            # SQLite goes on writing to a file that has no name any more, without a word.
            raise self._file.unusable("it was deleted or replaced", "restart this program")

    def _connect(self) -> sqlite3.Connection:
        connection = None
        try:
            connection = self._file.connect()
            check(connection, self._file)
            before = mode_of(connection)
            for pragma in self._file.writing_pragmas():
                connection.execute(pragma).fetchall()
            # Again: now SQLite has the log open, and nobody can put another in its place.
            self._file.check_owner()
            migrate(connection, self._file)
            say_mode(connection, self._file, before)
            self._file.wait_at_first(connection)
            return connection  # noqa: TRY300  # else an exception could come before it
        except BaseException:
            close_if_open(connection)
            raise

    def _busy(self, started: float, holder: str) -> StoreBusy:
        return StoreBusy(str(self._file.path), monotonic() - started, holder)
