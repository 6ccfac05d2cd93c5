"""The versions of the schema, and the way from each to the next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg import errors

from mainspring.faults import fault

if TYPE_CHECKING:
    from psycopg import Connection

    from mainspring.errors import StoreUnusable
    from mainspring.stores.postgres.address import PostgresAddress

FOLDER = Path(__file__).with_name("migrations")
VERSION = 8
"""The schema this code reads and writes: the number of the last migration."""

OLDEST_SERVER = 140_000

LOOK = """
SELECT pg_is_in_recovery(), to_regclass(%(table)s) IS NOT NULL,
  current_setting('transaction_read_only') = 'on', current_user, current_database()
"""


def prepare(connection: Connection[Any], address: PostgresAddress) -> None:
    """Bring the schema to this version, or refuse with one line that says what to do."""
    server = connection.info.server_version
    if server < OLDEST_SERVER:
        raise address.unusable(
            f"the server is PostgreSQL {server // 10_000}, and 14 is the oldest that will do",
            "upgrade the server",
        )
    table = f'"{address.schema}".schema_version'
    try:
        row = connection.execute(LOOK, {"table": table}).fetchone()
    except errors.InsufficientPrivilege as error:  # a role sees nothing of a schema it may not use
        role = connection.info.user
        remedy = f'as its owner run: GRANT USAGE ON SCHEMA "{address.schema}" TO "{role}"'
        raise address.unusable(str(error).strip().splitlines()[0], remedy) from error
    replica, exists, reads_only, _, _ = row or (False, False, False, "", "")
    if replica:
        raise address.unusable("the server is a replica, which only reads", "name the primary")
    if reads_only:
        remedy = "set default_transaction_read_only = off for the role or database"
        raise address.unusable("its transactions are read-only", remedy)
    try:
        version = version_of(connection, address) if exists else 0
        if version < VERSION:
            migrate(connection, address)
    except errors.InsufficientPrivilege as error:
        raise refused(address, row or (), str(error).strip().splitlines()[0]) from error


def version_of(connection: Connection[Any], address: PostgresAddress) -> int:
    """Return the version of the schema that is there; refuse a newer one."""
    row = connection.execute(
        f'SELECT version FROM "{address.schema}".schema_version'.encode()  # noqa: S608  # checked
    ).fetchone()
    version: int = row[0] if row else 0
    if version > VERSION:
        raise address.unusable(
            f"a newer mainspring wrote it (schema {version}, this one knows {VERSION})",
            "upgrade mainspring",
        )
    return version


def migrate(connection: Connection[Any], address: PostgresAddress) -> None:
    """Run what is missing in one transaction; of processes that start together, one does."""
    if not address.auto_migrate:
        raise address.unusable(
            "its schema is missing or old, and auto_migrate is off",
            f"run: mainspring migrate --url {address.url_for_people}",
        )
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (address.lock_class,))
        found = connection.execute("SELECT to_regnamespace(%s)", (f'"{address.schema}"',))
        if found.fetchone() == (None,):
            connection.execute(f'CREATE SCHEMA "{address.schema}"'.encode())
        table = f'"{address.schema}".schema_version'
        known = connection.execute("SELECT to_regclass(%s)", (table,)).fetchone() != (None,)
        advance(connection, address, version_of(connection, address) if known else 0)


def advance(connection: Connection[Any], address: PostgresAddress, version: int) -> None:
    """Run the migrations that come after `version`."""
    if version == VERSION:
        return
    connection.execute(f'SET LOCAL search_path TO "{address.schema}"'.encode())
    for number in range(version + 1, VERSION + 1):
        (file,) = FOLDER.glob(f"{number:04}_*.sql")
        connection.execute(file.read_bytes())
        fault("during_migration")
    connection.execute("UPDATE schema_version SET version = %s", (VERSION,))


def refused(address: PostgresAddress, row: tuple[Any, ...], why: str) -> StoreUnusable:
    """Return the error of a role that may not do what is needed."""
    _, exists, _, user, database = row
    if exists:
        grant = f'GRANT ALL ON ALL TABLES IN SCHEMA "{address.schema}" TO "{user}"'
    else:
        grant = f'GRANT CREATE ON DATABASE "{database}" TO "{user}"'
    return address.unusable(why, f"as its owner run: {grant}")
