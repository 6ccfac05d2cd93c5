"""The versions of the schema, and the way from each to the next.

Our tables and indexes are named `mainspring_...` and the version stands in one of them, so that the
user's tables may stand beside them. Files of versions 1 to 6 were ours alone: their tables had no
prefix, and `application_id` and `user_version` were our marks. Nothing else counts as ours.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import json

from mainspring.errors import StoreUnusable
from mainspring.faults import fault

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).with_name("migrations")
VERSION = 9
"""The schema this code reads and writes: the number of the last migration."""

PREFIXED = 7
"""The first version whose names have the prefix."""

APPLICATION_ID = 0x6D737072
"""`mspr`: the mark of files of earlier versions."""

HAS_VERSION = """
SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'mainspring_schema_version')
"""
# No file without a version has any; that one table is of a cache, which any file may hold.
OUR_NAMES = """
SELECT name FROM sqlite_master
WHERE name GLOB 'mainspring_*' AND tbl_name <> 'mainspring_task_cache' ORDER BY name LIMIT 3
"""

OBJECTS = "SELECT count(*) FROM sqlite_master"
READ_VERSION = "SELECT * FROM mainspring_schema_version"
WRITE_VERSION = "UPDATE mainspring_schema_version SET version = ?"

EARLIER_VERSION = """
SELECT user_version FROM pragma_user_version, pragma_application_id
WHERE application_id = ? AND user_version BETWEEN 1 AND ?
  AND EXISTS (SELECT 1 FROM pragma_table_info('jobs') WHERE name = 'nonce')
"""

EARLIER_NAMES = {
    1: "attempts finished finished_by_end jobs lanes line nodes scheduled",
    2: "bearers cancelling exceptions expiring idempotency idempotency_by_end log paused progress"
    " schedules spent",
    4: "locks",
    5: "tags tags_by_key",
}
"""The tables and indexes that each earlier version has added."""

FOUND = """
SELECT name, sql FROM sqlite_master
WHERE type = ? AND name IN (SELECT value FROM json_each(?))
"""


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of our tables in a file, 0 if it has none; refuse a newer one."""
    if connection.execute(HAS_VERSION).fetchone() == (1,):
        version = read_version(connection, path)
    else:
        marks = (APPLICATION_ID, PREFIXED - 1)
        (version,) = connection.execute(EARLIER_VERSION, marks).fetchone() or (0,)
    if version > VERSION:
        raise StoreUnusable(
            str(path),
            f"a newer mainspring wrote it (schema {version}, this one knows {VERSION})",
            "upgrade mainspring",
        )
    return int(version)


def read_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version that stands in our table; refuse a table that is not as we made it."""
    rows = connection.execute(READ_VERSION).fetchall()
    if len(rows) == 1 and len(rows[0]) == 1 and isinstance(rows[0][0], int):
        return max(PREFIXED, rows[0][0])
    raise not_ours(path, "mainspring_schema_version")


def not_ours(path: Path, names: str) -> StoreUnusable:
    """Return the error for what has a name of ours and is not ours."""
    return StoreUnusable(
        str(path),
        f"it has {names}, which is not as mainspring makes it",
        "rename it if it is yours, or restore the file from a backup",
    )


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


def check(connection: sqlite3.Connection, file: MigratedFile) -> None:
    """Raise StoreUnusable for a file that is to be left as it is; only looks."""
    version = version_of(connection, file.path)
    taken = [] if version else [name for (name,) in connection.execute(OUR_NAMES).fetchall()]
    if taken:
        raise not_ours(file.path, ", ".join(taken))
    if version != VERSION and not file.auto_migrate:
        has = (
            f"are of schema {version}, and this version needs {VERSION}"
            if version
            else "are missing"
        )
        remedy = f"run: mainspring migrate --db {file.path}"
        raise StoreUnusable(str(file.path), f"its tables {has}, and auto_migrate is off", remedy)


def migrate(connection: sqlite3.Connection, file: MigratedFile) -> None:
    """Bring the file to this version in one transaction; the caller holds the turn to write."""
    version = version_of(connection, file.path)
    if version == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    ((others,),) = connection.execute(OBJECTS).fetchall()
    try:
        advance(connection, version_of(connection, file.path))
    except BaseException as error:
        connection.execute("ROLLBACK")
        if str(error).startswith("error in "):  # as "error in view v: no such table: main.t"
            why = f"SQLite can't rename its tables: {error}"
            raise StoreUnusable(str(file.path), why, "mend or drop that first") from error
        raise
    connection.execute("COMMIT")
    if not version and others:
        log_added(file.path)


def log_added(path: Path) -> None:
    """Say that a file of another program has our tables now: the path may be a mistake."""
    import logging  # noqa: PLC0415  # a lazy door: 5 ms of a producer's start

    logging.getLogger("mainspring.stores").info(
        "%s was another program's file: mainspring has added its tables, named mainspring_...", path
    )


def advance(connection: sqlite3.Connection, version: int) -> None:
    """Run the migrations that come after `version`."""
    if 0 < version < PREFIXED:
        add_prefix(connection, version)
    for number in range(version + 1, VERSION + 1):
        for statement in statements_of(number):
            connection.execute(statement)
        fault("during_migration")
    connection.execute(WRITE_VERSION, (VERSION,))


def add_prefix(connection: sqlite3.Connection, version: int) -> None:
    """Rename the tables and indexes of an earlier version; views and triggers on them follow."""
    names = " ".join(names for number, names in EARLIER_NAMES.items() if number <= version)
    ours = json.encode(names.split()).decode()
    for table, _ in connection.execute(FOUND, ("table", ours)).fetchall():
        connection.execute(f"ALTER TABLE {table} RENAME TO mainspring_{table}")
    for index, statement in connection.execute(FOUND, ("index", ours)).fetchall():
        connection.execute(f"DROP INDEX {index}")
        connection.execute(statement.replace(f"INDEX {index} ", f"INDEX mainspring_{index} "))
    # The file is still ours alone, and an earlier version that opens it so reads whose it is.
    connection.execute(f"PRAGMA user_version = {PREFIXED}")


def statements_of(number: int) -> Iterator[str]:
    """Yield a migration's statements (`executescript` would commit our transaction)."""
    (file,) = FOLDER.glob(f"{number:04}_*.sql")
    statement = ""
    for line in file.read_text("utf-8").splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
