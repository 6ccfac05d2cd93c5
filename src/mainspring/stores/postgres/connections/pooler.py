"""A pooler between us and the server, found by what it does: whose session answers a connection."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg import Connection

LOOKS = 5
"""Looks at two connections: a pooler may have several sessions that take turns."""

BACKEND = "SELECT pg_backend_pid()"


def is_shared(connection: Connection[Any], connect: Callable[[], Connection[Any]]) -> bool:
    """Return whether others may be given this connection's session between two transactions.

    A pooler tells a process number of its own at the start. One in session mode is told from one in
    transaction mode by a second connection, which the latter may serve by the session of the first.
    """
    first = _backend(connection)
    if first == connection.info.backend_pid:
        return False
    with closing(connect()) as other:
        others: set[int] = set()
        for _ in range(LOOKS):
            others.add(_backend(other))
            if first in others or _backend(connection) != first:
                return True
    return False


def _backend(connection: Connection[Any]) -> int:
    row = connection.execute(BACKEND).fetchone()
    return int(row[0]) if row else 0
