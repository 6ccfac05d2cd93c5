"""The caller's own connection: our statements in the caller's transaction.

One of psycopg's, bare or in the wrapper of SQLAlchemy or Django. An asynchronous one of psycopg's
is used for the length of a few statements, in which its event loop waits.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus

from mainspring.errors import InvalidConnection
from mainspring.stores.postgres.connections.statements import Statements
from mainspring.stores.postgres.connections.trouble import KeysTaken, Raced, explain, is_key_taken
from mainspring.stores.postgres.enqueue import enqueue_into
from mainspring.stores.postgres.nodes import lease_lost
from mainspring.stores.postgres.outcomes import outcome_batch, record
from mainspring.stores.wake.topics import ENDED, READY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mainspring.model.job import Outcome
    from mainspring.stores.postgres.address import PostgresAddress
    from mainspring.stores.postgres.connections.statements import ServerMoment
    from mainspring.stores.postgres.enqueue import JobBatch
    from mainspring.stores.sql.lanes import Name

T = TypeVar("T")

MOST_TRIES = 3

HOLD = "SELECT FROM nodes WHERE node = %(node)s AND ended_at IS NULL FOR KEY SHARE"
NOTIFY = "SELECT pg_notify(%(channel)s, %(payload)s)"
IS_OURS = "SELECT to_regclass(%(table)s) IS NOT NULL"

OTHER_DRIVERS = {"asyncpg", "psycopg2", "pg8000"}
REMEDY = "give one of psycopg 3, or SQLAlchemy's or Django's over it"


def enqueue_in(
    address: PostgresAddress,
    connection: object,
    batch: JobBatch,
    lanes: Mapping[Name, int],
    moment: ServerMoment,
) -> list[str]:
    """Keep jobs if and only if the caller's transaction commits; then it wakes who waits."""

    def keep(statements: Statements) -> list[str]:
        ids = enqueue_into(statements, batch, lanes, moment)
        statements.execute(NOTIFY, {"channel": address.channel(READY), "payload": ""})
        return ids

    return in_savepoint(address, connection, keep)


def finish_in(
    address: PostgresAddress, connection: object, node: int, outcome: Outcome, moment: ServerMoment
) -> bool:
    """Record an outcome if and only if the caller's transaction commits."""

    def finish(statements: Statements) -> bool:
        if not statements.rows(HOLD, {"node": node}):
            raise lease_lost(statements, node)
        accepted = record(statements, node, outcome_batch([outcome]), moment).number == 1
        for topic in (READY, ENDED):
            statements.execute(NOTIFY, {"channel": address.channel(topic), "payload": ""})
        return accepted

    return in_savepoint(address, connection, finish)


def in_savepoint(
    address: PostgresAddress, connection: object, work: Callable[[Statements], T]
) -> T:
    """Return what `work` does on the caller's connection; nothing of it is left if it raises."""
    driver = driver_of(connection)
    refuse_unfit(driver)
    statements = Statements(driver, address.schema)
    for _ in range(MOST_TRIES):
        try:
            with savepoint(statements, address):
                return work(statements)
        except Raced:
            continue
        except psycopg.Error as error:
            if isinstance(error, errors.UniqueViolation) and is_key_taken(error):
                raise KeysTaken from error
            explain(error, address)
            raise
    raise address.unusable("other transactions were faster, again and again", "try later")


@contextmanager
def savepoint(statements: Statements, address: PostgresAddress) -> Iterator[None]:
    """Open a savepoint for the length of a block."""
    statements.execute("SAVEPOINT mainspring")
    try:
        refuse_other_database(statements, address)
        yield
    except BaseException:
        if statements.driver.pgconn.pipeline_status:
            # Until then all that is sent is passed over, as what was sent with the statement is.
            with suppress(errors.PipelineAborted), statements.driver.pipeline() as pipeline:
                pipeline.sync()
        statements.execute("ROLLBACK TO SAVEPOINT mainspring")
        statements.execute("RELEASE SAVEPOINT mainspring")
        raise
    statements.execute("RELEASE SAVEPOINT mainspring")


def refuse_other_database(statements: Statements, address: PostgresAddress) -> None:
    """Raise `InvalidConnection` where our tables are not."""
    table = {"table": f'"{address.schema}".jobs'}
    if statements.rows(IS_OURS, table) == [(False,)]:
        database = statements.driver.info.dbname
        raise InvalidConnection(
            f"the database {database!r} has no schema {address.schema!r}",
            f"connect to the database of the queue, {address.safe_url}",
        )


def unwrapped(connection: object) -> Any:
    """Return the connection of a driver in what the caller has given, or as far as that leads."""
    found: Any = connection
    for _ in range(3):
        if isinstance(found, (psycopg.Connection, psycopg.AsyncConnection)):
            break
        inner = getattr(found, "driver_connection", None) or getattr(found, "connection", None)
        if inner is None:
            break
        # SQLAlchemy's Session has a method of that name.
        found = inner() if callable(inner) and not hasattr(inner, "cursor") else inner
    return found


def driver_of(connection: object) -> psycopg.Connection[Any]:
    """Return psycopg's connection in what the caller has given."""
    found = unwrapped(connection)
    if isinstance(found, psycopg.Connection):
        return found
    if isinstance(found, psycopg.AsyncConnection):
        return synchronous(found)
    kind = f"{type(connection).__module__}.{type(connection).__qualname__}"
    driver = f"{type(found).__module__}".partition(".")[0]
    if driver in OTHER_DRIVERS:
        raise InvalidConnection(f"{kind} is a connection of {driver}", REMEDY)
    raise InvalidConnection(f"a {kind} is no connection to PostgreSQL", REMEDY)


def synchronous(connection: psycopg.AsyncConnection[Any]) -> psycopg.Connection[Any]:
    """Return a synchronous connection over the same session, which nobody else uses just now."""
    if connection.lock.locked():
        raise InvalidConnection("another coroutine uses it just now", "await that first")
    if connection.pgconn.pipeline_status:
        raise InvalidConnection("it is in a pipeline", "enqueue before or after the pipeline")
    pgconn = connection.pgconn
    handlers = pgconn.notice_handler, pgconn.notify_handler
    beside: psycopg.Connection[Any] = psycopg.Connection(pgconn)
    pgconn.notice_handler, pgconn.notify_handler = handlers
    beside.prepare_threshold = None  # its names would be those of the other one
    beside._autocommit = connection.autocommit  # noqa: SLF001  # it has no other way
    beside._pool = None  # noqa: SLF001  # not to be closed by whoever drops it
    return beside


def refuse_unfit(driver: psycopg.Connection[Any]) -> None:
    """Raise `InvalidConnection` unless a transaction is open, or opens with the next statement."""
    status = driver.info.transaction_status
    if driver.closed:
        raise InvalidConnection("it is closed", "give an open one")
    if status == TransactionStatus.INERROR:
        raise InvalidConnection("its transaction has failed", "roll it back and begin it again")
    if status == TransactionStatus.IDLE and driver.autocommit:
        raise InvalidConnection(
            "no transaction is open on it", "begin one, as by `with conn.transaction():`"
        )
