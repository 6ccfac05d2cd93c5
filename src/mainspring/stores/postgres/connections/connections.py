"""The connections that one process lends to its threads."""

from __future__ import annotations

import random
import select
from collections import deque
from contextlib import closing, contextmanager, suppress
from threading import BoundedSemaphore
from time import sleep
from typing import TYPE_CHECKING, Any

import psycopg
from msgspec.structs import replace
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8Dumper

from mainspring.clock import monotonic
from mainspring.errors import MainspringError, StoreBusy
from mainspring.stores.outage import Outage
from mainspring.stores.postgres.connections.statements import Statements
from mainspring.stores.postgres.connections.trouble import explain, is_final, sentence_of
from mainspring.stores.postgres.schema.migration import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainspring.stores.postgres.address import PostgresAddress

FIRST_PAUSE = 0.02
LONGEST_PAUSE = 1.0
"""Seconds between two tries to connect: twice as long each time, and more or less of it."""

PLANS = """
SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
SET enable_material = off; SET plan_cache_mode = force_generic_plan
"""
"""Plans are kept, and the tables grow under them: those made for an empty one must use indexes.

Left to itself the server would make a plan at each call, which costs more than to carry it out.
"""


class Connections:
    """Lends connections, as many at a time as the address says; keeps those that are well."""

    def __init__(self, address: PostgresAddress, *, durable: bool) -> None:
        self._address = address
        self._durable = durable
        self._busy_timeout = address.busy_timeout
        self._idle: deque[psycopg.Connection[Any]] = deque()
        self._free = BoundedSemaphore(address.max_connections)
        self._outage = Outage(address.safe_url)

    @contextmanager
    def lend(self) -> Iterator[Statements]:
        """Lend a connection in autocommit; what is left open there is rolled back by closing it."""
        if not self._free.acquire(timeout=self._busy_timeout):
            holder = f"all {self._address.max_connections} connections of this process are in use"
            raise StoreBusy(self._address.safe_url, self._busy_timeout, holder)
        try:
            connection = self._take()
            try:
                yield Statements(connection, self._address.schema)
            except (psycopg.Error, MainspringError):
                raise
            except BaseException:
                connection.close()  # it may have come at any line of the driver
                raise
            finally:
                self._give_back(connection)
        finally:
            self._free.release()

    def connect(self, conninfo: str) -> psycopg.Connection[Any]:
        """Connect; try again while the server starts, for as long as connecting may take."""
        deadline = monotonic() + self._address.connect_timeout
        pause = FIRST_PAUSE
        elsewhere = conninfo != self._address.conninfo
        while True:
            try:
                connection = psycopg.connect(conninfo, autocommit=True)
            except psycopg.Error as error:
                final = is_final(error)
                if not (final or elsewhere):
                    self._outage.note(sentence_of(error))
                if final or monotonic() + pause > deadline:
                    explain(error, self._address)
                    raise
            else:
                if self._outage.lasts and not elsewhere:
                    self._outage.end()
                return connection
            sleep(pause * random.uniform(0.5, 1.5))
            pause = min(2 * pause, LONGEST_PAUSE)

    def migrate(self) -> None:
        """Bring the schema to this version."""
        with closing(self.connect(self._address.conninfo)) as connection:
            try:
                prepare(connection, replace(self._address, auto_migrate=True))
            except psycopg.Error as error:
                explain(error, self._address)
                raise

    def close(self) -> None:
        """Close what is idle; the next use opens again."""
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def abandon(self) -> list[psycopg.Connection[Any]]:
        """Return what is idle, in a forked child: to close it would close it for the parent."""
        return list(self._idle)

    def _take(self) -> psycopg.Connection[Any]:
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if is_well(connection):
                    return connection
                connection.close()
        return self._prepared(self.connect(self._address.conninfo))

    def _prepared(self, connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
        # One type for all whole numbers: a statement is prepared anew for each mixture of types.
        connection.adapters.register_dumper(int, Int8Dumper)
        try:
            prepare(connection, self._address)
            if self._address.pooled:
                connection.prepare_threshold = None
            else:
                connection.execute(PLANS)
                wait = int(self._busy_timeout * 1000)
                connection.execute(f"SET lock_timeout = {wait}".encode())
                if not self._durable:
                    connection.execute("SET synchronous_commit = off")
        except psycopg.Error as error:
            connection.close()
            explain(error, self._address)
            raise
        except BaseException:
            connection.close()
            raise
        return connection

    def _give_back(self, connection: psycopg.Connection[Any]) -> None:
        if connection.info.transaction_status == TransactionStatus.IDLE:
            self._idle.append(connection)
        else:
            connection.close()


def is_well(connection: psycopg.Connection[Any]) -> bool:
    """Return whether the server still has an idle connection: what it says unasked is its end."""
    if connection.closed:
        return False
    look = select.poll()
    look.register(connection.fileno(), select.POLLIN)
    return not look.poll(0)
