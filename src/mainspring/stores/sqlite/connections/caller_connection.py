"""The caller's own connection: our statements in the caller's transaction.

The caller's library must be this one: two SQLite libraries in a process each close the file once
more than they opened it, as far as the other's POSIX locks can tell, and those are lost.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from msgspec.structs import replace

from mainspring.clock import monotonic
from mainspring.errors import InvalidConnection, StoreBusy
from mainspring.stores.sql.qualified import qualified
from mainspring.stores.sqlite.connections.writer import Writer
from mainspring.stores.sqlite.file.database import as_text
from mainspring.stores.sqlite.file.trouble import BUSY, code_of
from mainspring.stores.sqlite.schema.migration import READ_VERSION, VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mainspring.stores.sqlite.file.database import DatabaseFile

T = TypeVar("T")

OTHER_LIBRARIES = frozenset({"apsw", "pysqlite3", "sqlcipher3", "sqlean"})

ASYNCHRONOUS = frozenset({"sync_session", "sync_connection"})
"""Attributes of SQLAlchemy's asynchronous ones: their driver keeps the connection in a thread."""

PREPARE_SECONDS = 1.0
"""Seconds in which we try to prepare the file: the caller's transaction may hold its lock."""

TAKE_LOCK = "DELETE FROM mainspring_paused WHERE 0"
"""Changes nothing, but takes the write lock: what we read after it stays true until the commit."""


class DriverConnection(NamedTuple):
    """The caller's connection as its driver made it, and whether a transaction is open there."""

    connection: sqlite3.Connection
    in_transaction: bool


class CallerConnection:
    """The caller's connection for the length of a block, in a savepoint that a failure undoes.

    Its `execute` finds our tables wherever they are attached, and gives plain rows of plain text.
    """

    def __init__(self, file: DatabaseFile, connection: object) -> None:
        self._file = file
        self._connection, self._in_transaction = found_in(connection)
        self._schema = ""
        self._text_factory: Any = str
        self._entered = False

    def __enter__(self) -> sqlite3.Connection:
        if not self._in_transaction:
            raise InvalidConnection(
                "no transaction is open on it", "begin one, as by BEGIN IMMEDIATE, and commit it"
            )
        self._text_factory = self._connection.text_factory
        self._entered = True
        self._connection.text_factory = as_text
        try:
            self._enter()
        except BaseException:
            self._connection.text_factory = self._text_factory
            raise
        return cast("sqlite3.Connection", self)  # execute is all that is asked of one

    def _enter(self) -> None:
        self._schema = schema_of(self._file, self._connection)
        # A checkpoint that races a commit can lose it (SQLite before 3.51.3): ours hold the pen.
        self.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
        self._take_lock()
        if not self._connection.in_transaction:
            raise InvalidConnection(
                "its driver commits each statement by itself", "begin a transaction on it"
            )
        self.execute("SAVEPOINT mainspring")

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            # A full disk, for one, has SQLite take back the whole transaction by itself.
            if self._connection.in_transaction:
                if error is not None:
                    self.execute("ROLLBACK TO mainspring")
                self.execute("RELEASE mainspring")
        finally:
            self._connection.text_factory = self._text_factory
        self._file.explain(error)

    def undo(self) -> None:
        """Roll back to the savepoint and close it, wherever an exception has come."""
        if self._entered:
            self._connection.text_factory = self._text_factory
            # An error: it is closed already, or was never opened.
            with suppress(sqlite3.Error):
                self.execute("ROLLBACK TO mainspring")
                self.execute("RELEASE mainspring")

    def execute(
        self, statement: str, parameters: Sequence[object] | Mapping[str, object] = ()
    ) -> sqlite3.Cursor:
        """Execute one of our statements on our tables."""
        # Not by the connection's own method, which applies the caller's row_factory.
        return sqlite3.Cursor(self._connection).execute(
            qualified(statement, self._schema),
            parameters,
        )

    def _take_lock(self) -> None:
        started = monotonic()
        try:
            if not self._lock_current_schema():
                self._prepare()
                if not self._lock_current_schema():
                    raise InvalidConnection(
                        f"its transaction began before {self._file.path} was prepared",
                        "roll it back and begin it again",
                    )
        except sqlite3.OperationalError as error:
            if code_of(error) in BUSY:
                raise self._busy(error, monotonic() - started) from error
            self._file.explain(error)
            raise

    def _lock_current_schema(self) -> bool:
        """Acquire the lock; False if the tables are not there, or are of another version."""
        try:
            self.execute(TAKE_LOCK)
            return bool(self.execute(READ_VERSION).fetchone() == (VERSION,))
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return False
            raise

    def _prepare(self) -> None:
        """Bring the file to our version, unless the caller holds it locked."""
        writer = Writer(replace(self._file, busy_timeout=PREPARE_SECONDS))
        try:
            writer.ready()
        except StoreBusy as busy:
            raise InvalidConnection(
                f"{self._file.path} must be prepared first, and its transaction holds the lock",
                "use the queue once before, as by queue.stats()",
            ) from busy
        finally:
            writer.close()

    def _busy(self, error: sqlite3.Error, waited: float) -> StoreBusy:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY_SNAPSHOT:
            holder = "conn= read before another one's commit: begin with BEGIN IMMEDIATE"
        else:
            holder = "conn= waits as long as its own timeout= says"
        return StoreBusy(str(self._file.path), waited, holder)


def in_savepoint(
    file: DatabaseFile, connection: object, work: Callable[[sqlite3.Connection], T]
) -> T:
    """Return what `work` does on the caller's connection; nothing of it is left if it raises."""
    caller = CallerConnection(file, connection)
    try:
        with caller as inside:
            return work(inside)
    except BaseException:
        caller.undo()  # once more: an exception can come in the midst of the first time
        raise


def found_in(connection: Any) -> DriverConnection:
    """Return sqlite3's connection in what the caller gave."""
    if isinstance(connection, sqlite3.Connection):
        return DriverConnection(connection, connection.in_transaction)
    roots = {base.__module__.partition(".")[0] for base in type(connection).__mro__}
    if "sqlalchemy" in roots and not ASYNCHRONOUS & set(dir(connection)):
        # A scoped session is a registry that gives the thread's own when it is called.
        return found_in_sqlalchemy(connection() if hasattr(connection, "registry") else connection)
    raise refused(connection, roots)


def found_in_sqlalchemy(connection: Any) -> DriverConnection:
    """Return sqlite3's connection under a Session or a Connection of SQLAlchemy.

    Its transaction counts though the driver has not begun it: that does so at the first write.
    """
    asked = getattr(connection, "in_transaction", None)
    if not callable(asked):
        raise refused(connection, set())
    if not asked():
        raise InvalidConnection(
            "no transaction is open on it", "begin one, as by `with session.begin():`"
        )
    # A Session's `connection` is a method, a Connection's the driver's connection in its wrapper.
    owner: Any = connection.connection() if callable(connection.connection) else connection
    under = getattr(owner.connection, "dbapi_connection", None)
    if isinstance(under, sqlite3.Connection):
        return DriverConnection(under, in_transaction=True)
    raise refused(under, {type(under).__module__.partition(".")[0]})


def refused(connection: object, roots: set[str]) -> InvalidConnection:
    """Return why a connection of another kind can't be used."""
    kind = f"{type(connection).__module__}.{type(connection).__qualname__}"
    if roots & OTHER_LIBRARIES:
        return InvalidConnection(
            f"{kind} is of another SQLite library than this process has the queue open with, "
            "and two of them on one file lose each other's locks",
            "connect by Python's own sqlite3",
        )
    return InvalidConnection(
        f"a {kind} is no connection to SQLite",
        "give one of Python's sqlite3, or a Session or Connection of SQLAlchemy over it",
    )


def schema_of(file: DatabaseFile, connection: sqlite3.Connection) -> str:
    """Return the name under which the connection has the queue's file."""
    ours = file.identity()
    rows = sqlite3.Cursor(connection).execute("PRAGMA database_list").fetchall()
    for _, schema, path in rows:
        if path and identity_of(path) == ours:
            return str(schema)
    has = ", ".join(path or "a database in memory" for _, _, path in rows)
    raise InvalidConnection(
        f"it is a connection to {has}, and the queue is in {file.path}",
        f"connect to that file, or ATTACH DATABASE '{file.path}' AS jobs",
    )


def identity_of(path: str) -> tuple[int, int] | None:
    """Return what tells a file from another at the same path; None if it has gone."""
    try:
        found = os.stat(path)  # noqa: PTH116  # as in DatabaseFile.identity
    except OSError:
        return None
    return found.st_dev, found.st_ino
