"""Named locks: a lock is held by its row's node, as long as that is live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.errors import LeaseLost
from mainspring.model.view import LockRecord
from mainspring.stores.rules.columns import Columns, text_in
from mainspring.stores.sqlite.nodes import LIVE, name_of

if TYPE_CHECKING:
    import sqlite3

    from mainspring.stores.clock import Moment

HOLDER = """
SELECT locks.node, fence FROM mainspring_locks AS locks
JOIN mainspring_nodes AS nodes ON nodes.node = locks.node AND ended_at IS NULL
WHERE locks.name = ?
"""

SWEEP = """
DELETE FROM mainspring_locks
WHERE node NOT IN (SELECT node FROM mainspring_nodes WHERE ended_at IS NULL)
  OR typeof(fence) <> 'integer'
"""

# As with nodes, AUTOINCREMENT has no next number after the highest there is.
GRANT = """
INSERT INTO mainspring_locks (fence, name, node) SELECT 1 + max(
  coalesce((SELECT max(fence) FROM mainspring_locks WHERE fence < 4611686018427387904), 0),
  coalesce((
    SELECT seq FROM sqlite_sequence WHERE name = 'mainspring_locks' AND seq < 4611686018427387904
  ), 0)
), ?, ?
"""

RELEASE = """
DELETE FROM mainspring_locks AS locks WHERE name = ? AND node = ? AND fence = ?
AND EXISTS (
  SELECT 1 FROM mainspring_nodes AS nodes WHERE nodes.node = locks.node AND ended_at IS NULL
)
"""

HELD = """
SELECT locks.name, locks.node, nodes.name, fence
FROM mainspring_locks AS locks
JOIN mainspring_nodes AS nodes ON nodes.node = locks.node AND ended_at IS NULL
ORDER BY locks.name
"""


def acquire(connection: sqlite3.Connection, node: int, name: str, moment: Moment) -> int | None:
    """Give a node a lock; None if another has it, or the node's lease has run out."""
    live = connection.execute(LIVE, (node,)).fetchone()
    if live is None:
        raise LeaseLost(name_of(connection, node))
    if Columns().lease_end("lease_until", live[3]) <= moment.micros:
        return None
    holder = connection.execute(HOLDER, (name,)).fetchone()
    if holder is not None:
        return int(holder[1]) if holder[0] == node else None
    connection.execute(SWEEP)
    return connection.execute(GRANT, (name, node)).lastrowid


def release(connection: sqlite3.Connection, node: int, name: str, fence: int) -> bool:
    """Free a lock, if the node has it with that fence."""
    return connection.execute(RELEASE, (name, node, fence)).rowcount == 1


def locks(connection: sqlite3.Connection) -> list[LockRecord]:
    """Return the locks that are held, by name."""
    rows = connection.execute(HELD).fetchall()
    return [LockRecord(text_in(name), node, text_in(of), fence) for name, node, of, fence in rows]
