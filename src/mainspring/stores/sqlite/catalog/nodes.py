"""Nodes as views read them: who lives, for how long yet, and with how many jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from mainspring.model.view import NodeRecord
from mainspring.stores.clock import MICROS
from mainspring.stores.sqlite.rows.columns import Columns, bytes_in

if TYPE_CHECKING:
    import sqlite3

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


def live_nodes(connection: sqlite3.Connection, now: int) -> list[NodeRecord]:
    """Return the live nodes; `now` is stored time."""
    rows = connection.execute(LIVE_NODES).fetchall()
    return [node_of(row, now) for row in rows]


def node_of(row: tuple[Any, ...], now: int) -> NodeRecord:
    """Return the record of a row of `LIVE_NODES`; a lease that can't be read has run out."""
    key, name, host, pid, lease_until, running, serves, report = row
    read = Columns()
    record = NodeRecord(
        key=key,
        name=read.text("name", name),
        host=read.text("host", host),
        pid=read.integer("pid", pid),
        expires_in=(read.integer("lease_until", lease_until, now) - now) / MICROS,
        running=running,
        serves=bytes_in(serves),
        report=bytes_in(report),
    )
    return replace(record, unreadable=read.unreadable) if read.unreadable else record
