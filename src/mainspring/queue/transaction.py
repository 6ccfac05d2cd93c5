"""Jobs in the caller's own transaction: `using(conn=...)` and `queue.transaction(conn)`.

It knows connections only by what they say of themselves; what a store can do with one, the store
knows. It never begins or commits anything.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING, Any, cast

from mainspring.errors import InvalidConnection, InvalidOption, StoreBusy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mainspring.model.job import NewJob
    from mainspring.protocols import JobStore, Transactional

PATIENCE = 1.0
"""Seconds that an enqueuing waits for a transaction of its own thread, which can't end then."""

HOLDER = (
    "most likely this thread's own transaction, that of queue.transaction(conn): enqueue in it, "
    "with using(conn=conn)"
)


_held: ContextVar[tuple[tuple[Transactions, Any], ...]] = ContextVar("mainspring_held", default=())
"""The connections whose block this thread, or this coroutine, is in."""


class Transactions:
    """The transactions of callers that jobs of one queue go into. Thread-safe.

    `place`: the URL of the store, which other queues of the program may have, too.
    """

    def __init__(
        self, store: JobStore, open_beside: Callable[[float], JobStore], *, place: str | None = None
    ) -> None:
        self._place = place
        self._store = store
        self._open_beside = open_beside
        self._beside: JobStore | None = None
        self._opening = RLock()  # a signal handler may enqueue, too

    def check(self, owner: str, connection: object) -> None:
        """Raise InvalidOption if the store has no transactions that callers could share."""
        if not hasattr(self._store, "enqueue_in"):
            kind = type(connection).__name__
            why = "can't be used, since this queue is in no database"
            remedy = "make the queue with a database, such as sqlite:///jobs.db"
            raise InvalidOption("conn", kind, owner=owner, why=why, remedy=remedy)

    def enqueue(self, connection: Any, jobs: Sequence[NewJob]) -> list[str]:
        """Keep jobs, if and only if the transaction that is open on the connection commits."""
        store = cast("Transactional", self._store)
        job_ids = store.enqueue_in(_checked(connection), jobs)
        _announce_after_commit(connection, store.announce)
        return job_ids

    async def in_sync(self, connection: Any, keep: Callable[[Any], list[str]]) -> list[str]:
        """Return what `keep` returns of the connection; of SQLAlchemy's asynchronous, in run_sync.

        One of psycopg needs none.
        """
        if _is_sqlalchemy(connection, ".ext.asyncio") and hasattr(connection, "run_sync"):
            return await connection.run_sync(keep)  # type: ignore[no-any-return]  # its own type
        return keep(connection)

    @contextmanager
    def block(self, connection: Any) -> Iterator[None]:
        """Wake who sleeps after the block, unless the transaction is still open then."""
        self.check("Queue.transaction()", connection)
        token = _held.set((*_held.get(), (self, connection)))
        try:
            yield
        finally:
            # A framework may end the block in another context than it began in: each thread that
            # it hops to has a copy of its own, which nobody looks at any more.
            with suppress(ValueError):
                _held.reset(token)
            if not _is_open(connection):
                cast("Transactional", self._store).announce()

    def in_the_way(self) -> bool:
        """Return True if an enqueuing would wait for a transaction that this thread holds."""
        held = _held.get()
        return bool(held) and any(self._shares(owner) and _is_open(conn) for owner, conn in held)

    def _shares(self, other: Transactions) -> bool:
        return other is self or (self._place is not None and other._place == self._place)

    def enqueue_beside(self, jobs: Sequence[NewJob]) -> list[str]:
        """Keep jobs while the thread may hold the store itself; raises StoreBusy soon."""
        with self._opening:
            beside = self._beside = self._beside or self._open_beside(PATIENCE)
        try:
            return beside.enqueue_many(jobs)
        except StoreBusy as busy:
            raise StoreBusy(busy.store, busy.waited, HOLDER) from busy

    def close(self) -> None:
        """Let go of files and connections."""
        if self._beside is not None:
            self._beside.close()


def _is_open(connection: Any) -> bool:
    """Return True if a transaction is open, as sqlite3, SQLAlchemy and psycopg each report it."""
    try:
        state = getattr(_own(connection), "in_transaction", None)
    except sqlite3.ProgrammingError:
        return False  # it is closed, and what was open was rolled back
    if state is not None:
        return bool(state() if callable(state) else state)
    return bool(getattr(getattr(connection, "info", None), "transaction_status", 0))


def _is_sqlalchemy(connection: object, below: str = "") -> bool:
    root = f"sqlalchemy{below}"
    return any(f"{cls.__module__}.".startswith(f"{root}.") for cls in type(connection).__mro__)


def _own(connection: Any) -> Any:
    """Return the session of this thread behind a scoped one; any other connection as it is."""
    scoped = _is_sqlalchemy(connection, ".orm") and hasattr(connection, "registry")
    return connection.registry() if scoped else connection


def _checked(connection: Any) -> Any:
    """Return a connection, behind a scoped session this thread's; raise InvalidConnection.

    One of SQLAlchemy's is not unwrapped: its transaction is open before the driver's is.
    """
    if not _is_sqlalchemy(connection):
        return connection
    connection = _own(connection)
    if _is_sqlalchemy(connection, ".ext.asyncio") or not hasattr(connection, "connection"):
        why = f"its type is {type(connection).__name__}"
        remedy = "give a Connection or a Session; of an asynchronous one, await adelay() or amap()"
        raise InvalidConnection(why, remedy)
    if not _is_open(connection):
        raise InvalidConnection("no transaction is open on it", "begin one before you enqueue")
    return connection


def _announce_after_commit(connection: Any, announce: Callable[[], None]) -> None:
    """Have a session of SQLAlchemy announce its commits; only it knows when one is done."""
    if not _is_sqlalchemy(connection, ".orm"):
        return
    session = _own(connection)
    event = import_module("sqlalchemy.event")
    announced = session.info.setdefault("mainspring_announced", set())
    if announce not in announced:
        announced.add(announce)
        event.listen(session, "after_commit", lambda _session: announce())
