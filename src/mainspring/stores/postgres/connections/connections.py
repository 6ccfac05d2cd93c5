"""The connections that one process lends to its threads."""

from __future__ import annotations

import random
import select
import threading
from collections import deque
from contextlib import closing, suppress
from time import sleep
from typing import TYPE_CHECKING, Any

import psycopg
from msgspec.structs import replace
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8Dumper

from mainspring.clock import monotonic
from mainspring.errors import MainspringError, StoreBusy
from mainspring.stores.outage import Outage
from mainspring.stores.ownership import Signal, close_all, keep
from mainspring.stores.postgres.connections.pooler import is_shared
from mainspring.stores.postgres.connections.statements import Statements
from mainspring.stores.postgres.connections.trouble import explain, is_final, sentence_of
from mainspring.stores.postgres.schema.migration import prepare
from mainspring.stores.postgres.schema.sequences import raise_sequences

if TYPE_CHECKING:
    from mainspring.stores.postgres.address import PostgresAddress

FIRST_PAUSE = 0.02
LONGEST_PAUSE = 1.0
"""Seconds between two tries to connect: twice as long each time, and more or less of it."""

WAIT_SECONDS = 0.1
"""Seconds between two looks of who waits for a connection, and is woken when there is one."""

ISOLATION = "SET default_transaction_isolation = 'read committed'"
"""A database or role may say another, with which claims of several at once fail."""

PLANS = """
SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
SET enable_material = off; SET enable_bitmapscan = off; SET plan_cache_mode = force_generic_plan
"""
"""Plans are kept, and the tables grow under them: those made for an empty one must use indexes.

In their order, too: to sort a bitmap of all that wait looks cheap where few rows are expected.
Left to itself the server would make a plan at each call, which costs more than to carry it out.
"""


class Loan:
    """A connection lent for a block; `contextmanager` would leave it to nobody if interrupted.

    It moves from the idle ones to the loan and back in one step each: it is lost to no exception.
    """

    __slots__ = ("_connections", "_held", "signal", "thread")

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._held: list[psycopg.Connection[Any]] = []
        self.thread = threading.get_ident()
        self.signal: Signal | None = None
        """Wakes who waits for the loan."""

    def __enter__(self) -> Statements:
        self._connections.admit(self)
        try:
            self._connections.take(self._held)
            return self._connections.statements(self._held[0])
        except BaseException:
            self.end()
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # Another one may have come at any line of the driver.
        if error is None or isinstance(error, (psycopg.Error, MainspringError)):
            self._connections.put_back(self._held)
        self.end()

    def end(self) -> None:
        """End the loan, also one whose block an exception has left."""
        close_all(self._held)
        self._connections.dismiss(self)


class Connections:
    """Lends connections, as many at a time as the address says; keeps those that are well.

    There is no lock: each step on what the threads share is one of the interpreter's, which nothing
    interrupts. Loans are in the order in which they were asked for, and the first ones are granted.
    """

    def __init__(self, address: PostgresAddress, *, durable: bool) -> None:
        self._address = address
        self._durable = durable
        self._busy_timeout = address.busy_timeout
        self._idle: deque[psycopg.Connection[Any]] = deque()
        self._closing: deque[psycopg.Connection[Any]] = deque()
        self._loans: dict[Loan, None] = {}
        self._outage = Outage(address.safe_url)
        self._looked = address.pooled
        """True once a pooler was looked for, or where the URL says that there is one."""

    def lend(self) -> Loan:
        """Lend a connection in autocommit; what is left open there is rolled back by closing it."""
        return Loan(self)

    def admit(self, loan: Loan) -> None:
        """Register a loan, and wait until it is one of those that there may be."""
        self._loans[loan] = None
        if len(self._loans) > self._address.max_connections:
            self._wait_for(loan)

    def dismiss(self, loan: Loan) -> None:
        """Unregister a loan."""
        self._loans.pop(loan, None)
        if len(self._loans) >= self._address.max_connections:
            for other in self._granted():
                if other.signal is not None:
                    other.signal.give()

    def recover(self) -> None:
        """End the loans that an exception has left to nobody: all of this thread."""
        here = threading.get_ident()
        for loan in list(self._loans):
            if loan.thread == here:
                loan.end()

    def has_loan(self) -> bool:
        """Return whether this thread has been lent a connection."""
        return any(loan.thread == threading.get_ident() for loan in list(self._loans))

    def statements(self, connection: psycopg.Connection[Any]) -> Statements:
        """Return a connection as the verbs see it."""
        return Statements(connection, self._address.schema)

    def _granted(self) -> list[Loan]:
        return list(self._loans)[: self._address.max_connections]

    def _wait_for(self, loan: Loan) -> None:
        loan.signal = Signal()
        deadline = monotonic() + self._busy_timeout
        while loan not in self._granted():
            if monotonic() >= deadline:
                self.dismiss(loan)
                most = self._address.max_connections
                holder = f"all {most} connections of this process are in use"
                raise StoreBusy(self._address.safe_url, self._busy_timeout, holder)
            loan.signal.wait(min(WAIT_SECONDS, self._busy_timeout))

    def connect(self, conninfo: str) -> psycopg.Connection[Any]:
        """Connect; try again while the server starts, for as long as connecting may take."""
        deadline = monotonic() + self._address.connect_timeout
        pause = FIRST_PAUSE
        elsewhere = conninfo != self._address.conninfo
        while True:
            connection = None
            try:
                connection = psycopg.connect(conninfo, autocommit=True)
                if self._outage.lasts and not elsewhere:
                    self._outage.end()
                return connection  # noqa: TRY300  # else an exception could come before it
            except psycopg.Error as error:
                final = is_final(error)
                if not (final or elsewhere):
                    self._outage.note(sentence_of(error))
                if final or monotonic() + pause > deadline:
                    explain(error, self._address)
                    raise
            except BaseException:
                if connection is not None:
                    connection.close()
                raise
            sleep(pause * random.uniform(0.5, 1.5))
            pause = min(2 * pause, LONGEST_PAUSE)

    def connect_directly(self, conninfo: str) -> psycopg.Connection[Any]:
        """Connect, to have a session for as long as that lasts; refuse a pooler that shares it."""
        connection = self.connect(conninfo)
        if self._address.pooled:
            try:
                self._refuse_pooler(connection, conninfo, "give listen_url=, the server itself")
            except psycopg.Error as error:
                connection.close()
                explain(error, self._address)
                raise
            except BaseException:
                connection.close()
                raise
        return connection

    def _refuse_pooler(
        self, connection: psycopg.Connection[Any], conninfo: str, remedy: str
    ) -> None:
        if is_shared(connection, lambda: self.connect(conninfo)):
            why = "it is behind a pooler in transaction mode, where nobody can listen"
            raise self._address.unusable(why, remedy)

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
                keep(self._closing, deque.pop, self._idle)
        close_all(self._closing)

    def abandon(self) -> list[psycopg.Connection[Any]]:
        """Return what is idle, in a forked child: to close it would close it for the parent."""
        return list(self._idle)

    def take(self, held: list[psycopg.Connection[Any]]) -> None:
        """Put a connection into a loan that nobody else has."""
        with suppress(IndexError):
            while True:
                keep(held, deque.pop, self._idle)
                if is_well(held[0]):
                    return
                close_all(held)
        self._open(held)

    def _open(self, held: list[psycopg.Connection[Any]]) -> None:
        connection = None
        try:
            connection = self.connect(self._address.conninfo)
            # One type for all whole numbers: each mixture of types would be prepared anew.
            connection.adapters.register_dumper(int, Int8Dumper)
            if not self._looked:
                remedy = "give listen_url=, the server itself, or listen=false"
                self._refuse_pooler(connection, self._address.conninfo, remedy)
                self._looked = True
            prepare(connection, self._address)
            raise_sequences(connection, self._address)
            if self._address.pooled:
                connection.prepare_threshold = None
            else:
                connection.execute(PLANS)
                connection.execute(ISOLATION)
                wait = int(self._busy_timeout * 1000)
                connection.execute(f"SET lock_timeout = {wait}".encode())
                if not self._durable:
                    connection.execute("SET synchronous_commit = off")
            held.append(connection)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, psycopg.Error):
                explain(error, self._address)
            raise

    def put_back(self, held: list[psycopg.Connection[Any]]) -> None:
        """Keep the connection of a loan for the next one, if it is in no transaction."""
        if held and held[0].info.transaction_status == TransactionStatus.IDLE:
            keep(self._idle, list.pop, held)


def is_well(connection: psycopg.Connection[Any]) -> bool:
    """Return whether the server still has an idle connection: what it says unasked is its end."""
    if connection.closed:
        return False
    look = select.poll()
    look.register(connection.fileno(), select.POLLIN)
    return not look.poll(0)
