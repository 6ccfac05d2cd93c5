"""Queues as views read them: the tasks of each with what waits, and which are paused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.view import LaneRecord
from mainspring.stores.rules.columns import text_in

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
    rows = connection.execute(LANES).fetchall()
    return [LaneRecord(text_in(queue), text_in(task), jobs) for queue, task, jobs in rows]


def paused(connection: sqlite3.Connection) -> list[str]:
    """Return the names of the paused queues."""
    return [text_in(queue) for (queue,) in connection.execute(PAUSED).fetchall()]
