"""Named locks: a lock is held by its row's node, as long as that is live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.view import LockRecord
from mainspring.stores.postgres.nodes import RUN_OUT, SILENT_MICROS, lease_lost

if TYPE_CHECKING:
    from mainspring.stores.postgres.connections.statements import ServerMoment, Statements

LAPSED = f"""
SELECT {RUN_OUT} FROM nodes AS live WHERE node = %(node)s AND ended_at IS NULL
"""  # noqa: S608  # joined from texts of ours alone

HOLDER = """
SELECT held.node, fence FROM locks AS held
JOIN nodes AS live ON live.node = held.node AND ended_at IS NULL
WHERE held.name = %(name)s
"""

GRANTS = -16
"""The second number of the advisory lock of who grants: beyond those of topics and nodes."""

# One grant at a time, until its commit: a sequence alone could give the later grant a lower fence.
GRANT_ALONE = "SELECT pg_advisory_xact_lock(%(locks)s::int, %(grants)s::int)"
NEXT_FENCE = "SELECT nextval('{schema}.lock_fences')"

# A node that holds locks is judged by its lease alone: it can't know that its connection has gone,
# and must have its lease to the end.
BY_LEASE = "UPDATE nodes SET locked = false WHERE node = %(node)s AND locked"

SWEEP = """
DELETE FROM locks AS held WHERE NOT EXISTS (
  SELECT FROM nodes WHERE nodes.node = held.node AND ended_at IS NULL
)
"""

GRANT = """
INSERT INTO locks (name, node, fence) VALUES (%(name)s, %(node)s, %(fence)s)
ON CONFLICT DO NOTHING
"""

RELEASE = """
DELETE FROM locks AS held WHERE name = %(name)s AND node = %(node)s AND fence = %(fence)s
AND EXISTS (SELECT FROM nodes WHERE nodes.node = held.node AND ended_at IS NULL)
"""

HELD = """
SELECT held.name, held.node, live.name, fence FROM locks AS held
JOIN nodes AS live ON live.node = held.node AND ended_at IS NULL
ORDER BY held.name COLLATE "C"
"""


def acquire(connection: Statements, node: int, name: str, moment: ServerMoment) -> int | None:
    """Give a node a lock; None if another has it, or the node's lease has run out."""
    asked = {"node": node, "name": name}
    now = {"now": moment.micros, "locks": connection.locks, "silent": SILENT_MICROS}
    lapsed = connection.rows(LAPSED, {**asked, **now})
    if not lapsed:
        raise lease_lost(connection, node)
    if lapsed[0][0]:
        return None
    holder = connection.rows(HOLDER, asked)
    if holder:
        return int(holder[0][1]) if holder[0][0] == node else None
    return grant(connection, node, name)


def grant(connection: Statements, node: int, name: str) -> int | None:
    """Give a node a lock that nobody had just now; None if another was faster."""
    connection.execute(GRANT_ALONE, {"locks": connection.locks, "grants": GRANTS})
    ((fence,),) = connection.rows(NEXT_FENCE)
    connection.execute(BY_LEASE, {"node": node})
    connection.execute(SWEEP)
    granted = connection.execute(GRANT, {"name": name, "node": node, "fence": fence}).rowcount
    return int(fence) if granted else None


def release(connection: Statements, node: int, name: str, fence: int) -> bool:
    """Free a lock, if the node has it with that fence."""
    asked = {"node": node, "name": name, "fence": fence}
    return connection.execute(RELEASE, asked).rowcount == 1


def locks(connection: Statements) -> list[LockRecord]:
    """Return the locks that are held, by name."""
    return [LockRecord(*row) for row in connection.rows(HELD)]
