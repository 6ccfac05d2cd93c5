"""Queues as views read them: the tasks of each with what waits, and which are paused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.view import LaneRecord

if TYPE_CHECKING:
    import sqlite3

LANES = """
SELECT queue, task, (
  SELECT count(*) FROM jobs INDEXED BY line WHERE jobs.lane = lanes.lane AND state < 2
)
FROM lanes ORDER BY queue, task
"""

PAUSED = "SELECT queue FROM paused ORDER BY queue"


def lanes(connection: sqlite3.Connection) -> list[LaneRecord]:
    """Return each task of each queue, with the number of its jobs that wait."""
    return [LaneRecord(*row) for row in connection.execute(LANES).fetchall()]


def paused(connection: sqlite3.Connection) -> list[str]:
    """Return the names of the paused queues."""
    return [queue for (queue,) in connection.execute(PAUSED).fetchall()]
