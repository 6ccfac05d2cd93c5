"""Marks in the caller's own transaction, which a rollback takes away: on SQLite temporary rows.

A mark stands as long as the transaction, or savepoint, that it was made in was not rolled back;
whether that is committed in the end does not matter, since a test rolls back what it has done.
"""

from __future__ import annotations

import sqlite3
import sys
from typing import TYPE_CHECKING, Any, Protocol

from mainspring.errors import InvalidConnection
from mainspring.stores.sqlite.connections.caller_connection import found_in

if TYPE_CHECKING:
    from collections.abc import Iterable

CREATE = "CREATE TEMP TABLE IF NOT EXISTS mainspring_marks (name TEXT)"
INSERT = "INSERT INTO temp.mainspring_marks VALUES (?)"
FIND = "SELECT 1 FROM temp.mainspring_marks WHERE name = ?"


class Marks(Protocol):
    """Marks on one connection, by name."""

    def write(self, names: Iterable[str]) -> None:
        """Make marks in the open transaction."""

    def stand(self, name: str) -> bool:
        """Return whether a mark was not rolled back, as far as can be known."""
        ...


def marks_on(connection: Any) -> Marks:
    """Return the marks of a connection; raises InvalidConnection where a worker's store would."""
    if "psycopg" in sys.modules:  # or else it is none of it
        from mainspring.queue.kit.postgres_marks import (  # noqa: PLC0415  # an optional extra
            PostgresMarks,
            is_of_postgres,
        )

        if is_of_postgres(connection):
            return PostgresMarks(connection)
    return SqliteMarks(connection)


class SqliteMarks:
    """Marks on one connection of SQLite's, bare or under SQLAlchemy, by name.

    Raises InvalidConnection where a worker's store would: no open transaction, or none of these.
    """

    def __init__(self, connection: Any) -> None:
        found = found_in(connection)
        if not found.in_transaction:
            raise InvalidConnection(
                "no transaction is open on it", "begin one, as by BEGIN IMMEDIATE, and commit it"
            )
        self._connection = found.connection

    def write(self, names: Iterable[str]) -> None:
        """Make marks in the open transaction."""
        cursor = sqlite3.Cursor(self._connection)
        cursor.execute(CREATE)
        cursor.executemany(INSERT, [(name,) for name in names])

    def stand(self, name: str) -> bool:
        """Return whether a mark was not rolled back.

        Of a connection that is closed, or another thread's, nothing can be known: it counts as
        committed.
        """
        try:
            return sqlite3.Cursor(self._connection).execute(FIND, (name,)).fetchone() is not None
        except sqlite3.OperationalError:  # the table went with the rollback
            return False
        except sqlite3.ProgrammingError:
            return True
