"""The versions of the schema, and the way from each to the next."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mainspring.errors import StoreUnusable
from mainspring.faults import fault

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION_ID = 0x6D737072
"""`mspr`: marks a file as ours."""

FOLDER = Path(__file__).with_name("migrations")
VERSION = 7
"""The schema this code reads and writes: the number of the last migration."""

READ_MARKS = """
SELECT (SELECT application_id FROM pragma_application_id),
       (SELECT user_version FROM pragma_user_version),
       (SELECT count(*) FROM sqlite_master)
"""


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema version of our file, 0 for an empty one; refuse any other."""
    application, version, objects = connection.execute(READ_MARKS).fetchone()
    if application != APPLICATION_ID and (application or objects):
        raise StoreUnusable(
            str(path), "it is another program's database", "give the path of another file"
        )
    if version > VERSION:
        raise StoreUnusable(
            str(path),
            f"a newer mainspring wrote it (schema {version}, this one knows {VERSION})",
            "upgrade mainspring",
        )
    return int(version)


class MigratedFile(Protocol):
    """A file, as much as a migration has to know of it."""

    @property
    def path(self) -> Path:
        """Its path."""
        ...

    @property
    def auto_migrate(self) -> bool:
        """True if that is done by who opens it."""
        ...


def migrate(connection: sqlite3.Connection, file: MigratedFile) -> None:
    """Bring the file to this version in one transaction; the caller holds the turn to write.

    Raises StoreUnusable where that is left to others.
    """
    path = file.path
    version = version_of(connection, path)
    if version == VERSION:
        return
    if not file.auto_migrate:
        has = (
            f"are of schema {version}, and this version needs {VERSION}"
            if version
            else "are missing"
        )
        remedy = f"run: mainspring migrate --db {path}"
        raise StoreUnusable(str(path), f"its tables {has}, and auto_migrate is off", remedy)
    connection.execute("BEGIN IMMEDIATE")
    try:
        advance(connection, version_of(connection, path))
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def advance(connection: sqlite3.Connection, version: int) -> None:
    """Run the migrations that come after `version`."""
    for number in range(version + 1, VERSION + 1):
        for statement in statements_of(number):
            connection.execute(statement)
        fault("during_migration")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def statements_of(number: int) -> Iterator[str]:
    """Yield a migration's statements (`executescript` would commit our transaction)."""
    (file,) = FOLDER.glob(f"{number:04}_*.sql")
    statement = ""
    for line in file.read_text("utf-8").splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
