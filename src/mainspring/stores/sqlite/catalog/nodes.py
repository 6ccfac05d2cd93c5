"""Nodes as views read them: who lives, for how long yet, and with how many jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.stores.sql.records import node_of

if TYPE_CHECKING:
    import sqlite3

    from mainspring.model.view import NodeRecord
    from mainspring.stores.clock import Moment

LIVE_NODES = """
SELECT live.node, name, host, pid, lease_until, coalesce(running, 0), serves, report
FROM nodes AS live LEFT JOIN (
  SELECT node, count(*) AS running
  FROM lanes CROSS JOIN jobs INDEXED BY line ON jobs.lane = lanes.lane AND jobs.state = 2
  GROUP BY node
) AS held USING (node)
WHERE ended_at IS NULL
ORDER BY live.node
"""


def nodes(connection: sqlite3.Connection, moment: Moment) -> list[NodeRecord]:
    """Return the live nodes."""
    rows = connection.execute(LIVE_NODES).fetchall()
    return [node_of(row, moment.micros) for row in rows]
