"""The examination of a database: server, schema, rights, connections, bloat, old transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from mainspring.errors import StoreError
from mainspring.model.diagnosis import Diagnosis
from mainspring.stores.postgres.connections.direct import TOPICS
from mainspring.stores.wake.topics import READY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainspring.stores.postgres.address import PostgresAddress
    from mainspring.stores.postgres.connections.statements import Statements
    from mainspring.stores.postgres.session import PostgresSession

OLD_SECONDS = 600.0
LEAST_FREE = 20
MOST_DEAD = 200_000

SERVER = """
SELECT current_setting('server_version'), current_setting('max_connections')::int,
  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
  current_setting('fsync'), current_setting('synchronous_commit')
"""
SIZE = """
SELECT count(*), coalesce(sum(pg_total_relation_size(oid)), 0)::bigint
FROM pg_class WHERE relnamespace = to_regnamespace(%(schema)s) AND relkind = 'r'
"""
RIGHTS = """
SELECT relname FROM pg_class
WHERE relnamespace = to_regnamespace(%(schema)s) AND relkind = 'r'
  AND NOT has_table_privilege(oid, 'SELECT, INSERT, UPDATE, DELETE')
ORDER BY relname
"""
DEAD = """
SELECT relname, n_dead_tup, n_live_tup FROM pg_stat_user_tables
WHERE relid IN (SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace(%(schema)s))
ORDER BY n_dead_tup DESC LIMIT 1
"""
OLDEST = """
SELECT coalesce(max(extract(epoch FROM now() - xact_start)), 0)::float8
FROM pg_stat_activity WHERE xact_start IS NOT NULL AND backend_type = 'client backend'
"""


def examine(session: PostgresSession, address: PostgresAddress) -> Iterator[Diagnosis]:
    """Yield what is found, most basic first; no more once the server does not answer."""
    try:
        with session.connections.lend() as connection:
            yield from _of_the_server(connection, address)
            yield from _of_the_tables(connection, address)
    except StoreError as error:
        says, remedy = getattr(error, "why", str(error)), getattr(error, "remedy", "")
        yield Diagnosis("server", "problem", says, remedy)
        return
    except psycopg.Error as error:
        yield Diagnosis("server", "problem", str(error).strip(), "see the server's log")
        return
    yield _of_listening(session, address)


def _of_the_server(connection: Statements, address: PostgresAddress) -> Iterator[Diagnosis]:
    version, most, used, fsync, commit = _row(connection, SERVER)
    yield Diagnosis("server", "ok", f"PostgreSQL {version}, {address.safe_url}")
    says = f"{used} of {most} are in use; this process takes up to {address.max_connections + 1}"
    if most - used < LEAST_FREE:
        yield Diagnosis("connections", "warning", says, "raise max_connections, or use a pooler")
    else:
        yield Diagnosis("connections", "ok", says)
    if fsync == "off":
        remedy = "set fsync = on: a power cut can lose or damage everything"
        yield Diagnosis("durability", "problem", "fsync is off", remedy)
    else:
        yield Diagnosis("durability", "ok", f"fsync is on, synchronous_commit is {commit}")


def _of_the_tables(connection: Statements, address: PostgresAddress) -> Iterator[Diagnosis]:
    asked = {"schema": f'"{address.schema}"'}
    tables, size = _row(connection, SIZE, asked)
    yield Diagnosis("schema", "ok", f"{address.schema}: {tables} tables, {size / 1e6:,.1f} MB")
    refused = [name for (name,) in connection.rows(RIGHTS, asked)]
    if refused:
        grant = f'GRANT ALL ON ALL TABLES IN SCHEMA "{address.schema}" TO the role'
        yield Diagnosis("privileges", "problem", f"missing on {', '.join(refused)}", grant)
    else:
        yield Diagnosis("privileges", "ok", "this role may read and write all tables")
    table, dead, live = _row(connection, DEAD, asked)
    says = f"{dead:,} dead rows beside {live:,} live ones in {table}"
    if dead > MOST_DEAD:
        remedy = f'see what keeps autovacuum from it, or run: VACUUM "{address.schema}".{table}'
        yield Diagnosis("bloat", "warning", says, remedy)
    else:
        yield Diagnosis("bloat", "ok", says)
    (oldest,) = _row(connection, OLDEST)
    says = f"the oldest transaction is {oldest:,.0f} s old"
    if oldest > OLD_SECONDS:
        remedy = "end it: as long as it is open, no dead row of any table is removed"
        yield Diagnosis("transactions", "warning", says, remedy)
    else:
        yield Diagnosis("transactions", "ok", says)


def _row(
    connection: Statements, statement: str, asked: dict[str, Any] | None = None
) -> tuple[Any, ...]:
    return connection.rows(statement, asked)[0]


def _of_listening(session: PostgresSession, address: PostgresAddress) -> Diagnosis:
    if not address.listen:
        says = "listen is off: idle workers look once a second"
        return Diagnosis("listening", "warning", says, "give listen_url=, the server itself")
    if session.direct.hold(TOPICS[READY]):
        session.direct.let_go(TOPICS[READY])
        return Diagnosis("listening", "ok", "the direct connection listens")
    return Diagnosis(
        "listening", "problem", "the direct connection can't be opened", "check listen_url"
    )
