"""The errors of the driver, as this package's own: one line that says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import errors

from mainspring.errors import StoreBusy, StoreUnreachable

if TYPE_CHECKING:
    from mainspring.stores.postgres.address import PostgresAddress

UNDONE = (errors.DeadlockDetected, errors.SerializationFailure)
"""The server has undone the transaction, and may do it if it is asked again."""

LOST = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.IdleInTransactionSessionTimeout,
)
"""The connection may have gone."""

REFUSALS = (
    ("password authentication failed", "check user and password in the URL"),
    ("no password supplied", "put the password into the URL, or into ~/.pgpass"),
    ("no pg_hba.conf entry", "have the server's pg_hba.conf accept this user and host"),
    ("does not exist", "check database and user in the URL, or create them"),
    ("could not translate host name", "check the host in the URL"),
    ("permission denied", "grant the role what it needs, see mainspring doctor"),
    ("read-only transaction", "name the primary, or allow the role to write"),
    ("server certificate", "check sslmode and sslrootcert in the URL"),
    ("statement pooling mode", "set the pooler's pool_mode to transaction or session"),
    ("query_wait_timeout", "give the pooler a larger pool, or the queue a lower max_connections"),
    ("too many", "give the server a higher max_connections, or the queue fewer of them"),
)
"""Parts of sentences of the server that no waiting will change, each with what to do."""

PASSING = ("too many", "query_wait_timeout")
"""Parts of sentences of errors that pass once others have closed their connections."""

UNREACHABLE = "start the server, or check host and port in the URL"
TROUBLED = "look at the server's log"
GONE = ("08", "57")
"""Classes of the errors of a server that goes, or is not there yet."""

REMEDIES = {
    "53100": "make room on the server's disk",
    "57014": "give the role a longer statement_timeout, or look for what holds up the server",
    "25P03": "give the role a longer idle_in_transaction_session_timeout",
}
"""By its code, what to do about trouble of a server that is there."""


class Raced(Exception):  # no error: it is done again
    """Another transaction was faster; after a rollback the next try sees what it did."""


class KeysTaken(Exception):  # no error: it is done again
    """The server gave a new job the key of one that it has; nothing was kept."""


def is_key_taken(error: errors.UniqueViolation) -> bool:
    """Return whether a job was to be inserted under the key of another."""
    return error.diag.constraint_name == "jobs_pkey"


def is_final(error: BaseException) -> bool:
    """Return whether connecting again can't help."""
    text = str(error)
    refused = any(part in text for part, _ in REFUSALS)
    return refused and not any(part in text for part in PASSING)


def explain(error: psycopg.Error, address: PostgresAddress) -> None:
    """Raise the error that says what happened and what to do; return if a value is to blame."""
    text = sentence_of(error)
    if isinstance(error, (errors.LockNotAvailable, *UNDONE)):
        raise StoreBusy(address.safe_url, address.busy_timeout, text) from error
    for part, remedy in REFUSALS:
        if part in text:
            raise address.unusable(text, remedy) from error
    if isinstance(error, LOST):
        raise StoreUnreachable(address.safe_url, text, remedy_for(error.sqlstate)) from error


def remedy_for(code: str | None) -> str:
    """Return what to do about an error of that code; None: the server has said nothing."""
    if code is None:
        return UNREACHABLE
    return REMEDIES.get(code, UNREACHABLE if code.startswith(GONE) else TROUBLED)


def sentence_of(error: BaseException) -> str:
    """Return the line of an error that says most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    fatal = [line for line in lines if "FATAL:" in line]
    text = (fatal or lines or [type(error).__name__])[-1 if fatal else 0]
    return text.rpartition("FATAL:")[2].strip() or text
