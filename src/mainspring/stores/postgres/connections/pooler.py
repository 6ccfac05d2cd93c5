"""A pooler between us and the server, found by what it does: whose session answers a connection."""

from __future__ import annotations

from contextlib import closing
from time import sleep
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg import Connection

LOOKS = 5
"""Looks at two connections: a pooler may have several sessions that take turns."""

PAUSE_SECONDS = 0.01
"""Pause before the second look; before the third twice that, and so on.

A pooler frees a session a moment after its answer: asked at once, each may get its own again.
"""

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
        for look in range(LOOKS):
            sleep(PAUSE_SECONDS * look)
            others.add(_backend(other))
            if first in others or _backend(connection) != first:
                return True
    return False


def _backend(connection: Connection[Any]) -> int:
    row = connection.execute(BACKEND).fetchone()
    return int(row[0]) if row else 0
