"""The examination of a database: server, schema, rights, connections, bloat, old transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from mainspring.errors import StoreError
from mainspring.model.diagnosis import Diagnosis
from mainspring.stores.postgres.connections.direct import TOPICS
from mainspring.stores.wake.topics import READY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mainspring.stores.postgres.address import PostgresAddress
    from mainspring.stores.postgres.connections.statements import Statements
    from mainspring.stores.postgres.session import PostgresSession

OLD_SECONDS = 600.0
LEAST_FREE = 20
MOST_DEAD = 200_000

SERVER = """
SELECT current_setting('server_version'), current_setting('fsync'),
  current_setting('synchronous_commit'), current_setting('autovacuum')
"""
# Others' sessions are counted where a role may not look at them, too.
CONNECTIONS = """
SELECT
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true)::int, 0),
  (SELECT coalesce(sum(numbackends), 0)::int FROM pg_stat_database),
  (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user),
  (SELECT datconnlimit FROM pg_database WHERE datname = current_database())
"""
WORKERS = "SELECT count(*) FROM nodes WHERE ended_at IS NULL"
SIZE = """
SELECT count(*), coalesce(sum(pg_total_relation_size(oid)), 0)::bigint
FROM pg_class WHERE relnamespace = to_regnamespace(%(schema)s) AND relkind = 'r'
"""
# A list of privileges would ask for any of them. A sequence of an identity needs none.
RIGHTS = """
SELECT relname, current_user FROM pg_class
WHERE relnamespace = to_regnamespace(%(schema)s) AND CASE relkind
  WHEN 'r' THEN NOT (
    has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
    AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')
  )
  WHEN 'S' THEN relname IN ('job_keys', 'lock_fences') AND NOT has_sequence_privilege(oid, 'USAGE')
  ELSE false
END
ORDER BY relname
"""
DEAD = """
SELECT relname, n_dead_tup, n_live_tup FROM pg_stat_user_tables
WHERE relid IN (SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace(%(schema)s))
ORDER BY n_dead_tup DESC LIMIT 1
"""
OLDEST = """
SELECT extract(epoch FROM now() - began)::float8, name FROM (
  SELECT xact_start AS began,
    'process ' || pid || coalesce(' (' || nullif(application_name, '') || ')', '') AS name
  FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
  UNION ALL SELECT prepared, 'prepared transaction ' || gid FROM pg_prepared_xacts
) AS open WHERE began IS NOT NULL ORDER BY began LIMIT 1
"""
SEES_ALL = "SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), current_user"


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
    version, fsync, commit, autovacuum = _row(connection, SERVER)
    yield Diagnosis("server", "ok", f"PostgreSQL {version}, {address.safe_url}")
    if fsync == "off":
        remedy = "set fsync = on: a power cut can lose or damage everything"
        yield Diagnosis("durability", "problem", "fsync is off", remedy)
    else:
        yield Diagnosis("durability", "ok", f"fsync is on, synchronous_commit is {commit}")
    if autovacuum == "off":
        remedy = "set autovacuum = on: dead rows are removed by nobody, and claims become slow"
        yield Diagnosis("autovacuum", "warning", "autovacuum is off", remedy)


def _of_the_tables(connection: Statements, address: PostgresAddress) -> Iterator[Diagnosis]:
    asked = {"schema": f'"{address.schema}"'}
    tables, size = _row(connection, SIZE, asked)
    yield Diagnosis("schema", "ok", f"{address.schema}: {tables} tables, {size / 1e6:,.1f} MB")
    refused = connection.rows(RIGHTS, asked)
    yield _of_the_privileges(refused, address)
    workers = 0 if "nodes" in [name for name, _ in refused] else _row(connection, WORKERS)[0]
    yield _of_the_connections(_row(connection, CONNECTIONS), workers, address)
    table, dead, live = _row(connection, DEAD, asked)
    says = f"{dead:,} dead rows beside {live:,} live ones in {table}"
    if dead > MOST_DEAD:
        remedy = f'see what keeps autovacuum from it, or run: VACUUM "{address.schema}".{table}'
        yield Diagnosis("bloat", "warning", says, remedy)
    else:
        yield Diagnosis("bloat", "ok", says)
    yield _of_the_transactions(connection)


def _of_the_privileges(refused: Sequence[tuple[str, str]], address: PostgresAddress) -> Diagnosis:
    if not refused:
        return Diagnosis("privileges", "ok", "this role may read and write all tables")
    whose = f'IN SCHEMA "{address.schema}" TO "{refused[0][1]}"'
    grant = f"as its owner run: GRANT ALL ON ALL TABLES {whose}; GRANT ALL ON ALL SEQUENCES {whose}"
    missing = ", ".join(name for name, _ in refused)
    return Diagnosis("privileges", "problem", f"missing on {missing}", grant)


def _of_the_connections(
    row: tuple[int, int, int, int], workers: int, address: PostgresAddress
) -> Diagnosis:
    allowed, used, *limits = row
    most = min([allowed, *(limit for limit in limits if limit >= 0)])
    each = address.max_connections + 1
    need = (workers or 1) * each
    by = f"{workers} live workers of which each takes" if workers > 1 else "a worker takes"
    says = f"{used} of {most} are in use; {by} up to {each}"
    if need > most or allowed - used < LEAST_FREE:
        remedy = "raise max_connections of the server, lower that in the URL, or use a pooler"
        return Diagnosis("connections", "warning", says, remedy)
    return Diagnosis("connections", "ok", says)


def _of_the_transactions(connection: Statements) -> Diagnosis:
    rows = connection.rows(OLDEST)
    age, name = rows[0] if rows else (0.0, "")
    sees_all, role = _row(connection, SEES_ALL)
    by = "" if sees_all else " that this role may see"
    says = f"the oldest transaction{by} is {age:,.0f} s old" if rows else f"no other{by} is open"
    if age > OLD_SECONDS:
        remedy = "end it: as long as it is open, no dead row of any table is removed"
        return Diagnosis("transactions", "warning", f"{says}: {name}", remedy)
    remedy = "" if sees_all else f'to see all: GRANT pg_read_all_stats TO "{role}"'
    return Diagnosis("transactions", "ok", says, remedy)


def _row(
    connection: Statements, statement: str, asked: dict[str, Any] | None = None
) -> tuple[Any, ...]:
    return connection.rows(statement, asked)[0]


def _of_listening(session: PostgresSession, address: PostgresAddress) -> Diagnosis:
    if not address.listen:
        says = "listen is off: idle workers look once a second"
        return Diagnosis("listening", "warning", says, "give listen_url=, the server itself")
    if session.direct.hold(TOPICS[READY]):
        session.direct.unlisten(READY, 0)
        return Diagnosis("listening", "ok", "the direct connection listens")
    return Diagnosis(
        "listening", "problem", "the direct connection can't be opened", "check listen_url"
    )
