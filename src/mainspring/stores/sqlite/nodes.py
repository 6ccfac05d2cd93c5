"""Nodes: joining, renewing, leaving, and what is taken from a node that is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.job import Renewed
from mainspring.stores.rules.columns import Columns, text_in
from mainspring.stores.rules.rescue import ORPHANED, UNKNOWN_NODE, evidence_of
from mainspring.stores.sql.records import node_of, running_of
from mainspring.stores.sqlite.transitions.crashes import held_by, released, take_from
from mainspring.stores.sqlite.transitions.grants import marked_of
from mainspring.stores.sqlite.transitions.returns import give_back

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from mainspring.model.job import Grant, Rescued
    from mainspring.model.view import NodeRecord
    from mainspring.stores.clock import Moment

# Not the next of AUTOINCREMENT: after a row that somebody else wrote with the highest number, there
# is none.
JOIN = """
INSERT INTO mainspring_nodes (node, name, host, pid, joined_at, lease_until, serves)
SELECT 1 + max(
  coalesce((SELECT max(node) FROM mainspring_nodes WHERE node < 4611686018427387904), 0),
  coalesce((
    SELECT seq FROM sqlite_sequence WHERE name = 'mainspring_nodes' AND seq < 4611686018427387904
  ), 0)
), ?, ?, ?, ?, ?, ?
"""
RENEW = """
UPDATE mainspring_nodes SET lease_until = ?, report = coalesce(?, report)
WHERE node = ? AND ended_at IS NULL
"""
END = "UPDATE mainspring_nodes SET ended_at = ? WHERE node = ? AND ended_at IS NULL"
LIVE = """
SELECT name, host, pid, lease_until FROM mainspring_nodes WHERE node = ? AND ended_at IS NULL
"""

LIVE_NODES = """
SELECT live.node, name, host, pid, lease_until, coalesce(running, 0), serves, report
FROM mainspring_nodes AS live LEFT JOIN (
  SELECT node, count(*) AS running
  FROM mainspring_lanes AS lanes
  CROSS JOIN mainspring_jobs AS jobs INDEXED BY mainspring_line
    ON jobs.lane = lanes.lane AND jobs.state = 2
  GROUP BY node
) AS held USING (node)
WHERE ended_at IS NULL
ORDER BY live.node
"""

RUNNING = """
SELECT jobs.node, lanes.task, count(*)
FROM mainspring_lanes AS lanes
CROSS JOIN mainspring_jobs AS jobs INDEXED BY mainspring_line
  ON jobs.lane = lanes.lane AND jobs.state = 2
GROUP BY jobs.node, lanes.lane
"""

# An orphan's node may be anything: a number of no node, or no number at all.
ORPHANS = """
FROM mainspring_lanes AS lanes
CROSS JOIN mainspring_jobs AS jobs INDEXED BY mainspring_line
  ON jobs.lane = lanes.lane AND jobs.state = 2
WHERE NOT EXISTS (
  SELECT 1 FROM mainspring_nodes AS nodes WHERE nodes.node = jobs.node AND ended_at IS NULL
)
LIMIT ?
"""
ANY_ORPHAN = f"SELECT EXISTS (SELECT 1 {ORPHANS})"  # constants of ours
ADOPT = f"""
UPDATE mainspring_jobs SET node = ?, claimed_at = coalesce(claimed_at, ?)
WHERE key IN (SELECT key {ORPHANS})
"""  # noqa: S608  # as above

NAME = "SELECT name FROM mainspring_nodes WHERE node = ?"


def join(  # noqa: PLR0913  # the verb's signature
    connection: sqlite3.Connection,
    *,
    name: str,
    host: str,
    pid: int,
    lease: float,
    serves: bytes,
    moment: Moment,
) -> int:
    """Add a node and return its key."""
    row = (name, host, pid, moment.micros, moment.after(lease), serves.decode())
    return connection.execute(JOIN, row).lastrowid or 0


def name_of(connection: sqlite3.Connection, node: int) -> str:
    """Return a node's name, also when it has gone."""
    row = connection.execute(NAME, (node,)).fetchone()
    return text_in(row[0]) if row else str(node)


def renew(
    connection: sqlite3.Connection,
    node: int,
    *,
    lease: float,
    report: bytes | None,
    moment: Moment,
) -> Renewed | None:
    """Renew a node's lease; return which of its jobs are to be cancelled."""
    text = None if report is None else report.decode()
    if connection.execute(RENEW, (moment.after(lease), text, node)).rowcount == 0:
        return None
    return Renewed(tuple(sorted(marked_of(connection, node))))


def leave(connection: sqlite3.Connection, node: int, moment: Moment) -> None:
    """End a node; what it holds goes back, uncharged."""
    held = held_by(connection, node)
    give_back(connection, node, [released(job, moment) for job in held])
    connection.execute(END, (moment.micros, node))


def evidence_against(
    connection: sqlite3.Connection, node: int, *, dead: bool, moment: Moment
) -> str | None:
    """Return why a node counts as lost; None if it lives, or has gone already."""
    row = connection.execute(LIVE, (node,)).fetchone()
    if row is None:
        return None
    name, host, pid, lease_until = row
    read = Columns()
    if not dead and read.lease_end("lease_until", lease_until) > moment.micros:
        return None
    return evidence_of(text_in(name), text_in(host), read.integer("pid", pid), dead=dead)


def rescue(
    connection: sqlite3.Connection,
    node: int,
    *,
    dead: bool,
    begun: Collection[Grant] | None,
    moment: Moment,
) -> Rescued | None:
    """End a lost node; what had begun has crashed, what had not goes back uncharged.

    None if it is not lost, or has gone already.
    """
    evidence = evidence_against(connection, node, dead=dead, moment=moment)
    if evidence is None:
        return None
    connection.execute(END, (moment.micros, node))
    return take_from(connection, node, begun=begun, evidence=evidence, moment=moment)


def any_orphan(connection: sqlite3.Connection) -> bool:
    """Return whether a running job has no live node, without a lock."""
    return bool(connection.execute(ANY_ORPHAN, (1,)).fetchone()[0])


def rescue_orphans(connection: sqlite3.Connection, limit: int, moment: Moment) -> Rescued:
    """Give running jobs of no live node to a node that has just ended, and take them from it."""
    node = join(connection, name=UNKNOWN_NODE, host="", pid=0, lease=0, serves=b"{}", moment=moment)
    connection.execute(ADOPT, (node, moment.micros, limit))
    connection.execute(END, (moment.micros, node))
    return take_from(connection, node, begun=None, evidence=ORPHANED, moment=moment)


def nodes(connection: sqlite3.Connection, moment: Moment) -> list[NodeRecord]:
    """Return the live nodes."""
    rows = connection.execute(LIVE_NODES).fetchall()
    return [node_of(row, moment.micros) for row in rows]


def running_by_node(connection: sqlite3.Connection) -> dict[int, dict[str, int]]:
    """Return how many jobs of each task each node holds."""
    return running_of(connection.execute(RUNNING).fetchall())
