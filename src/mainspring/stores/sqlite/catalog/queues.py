"""Queues as views read them: the tasks of each with what waits, and which are paused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.stores.rules.columns import text_in
from mainspring.stores.sql.records import lane_of

if TYPE_CHECKING:
    import sqlite3

    from mainspring.model.view import LaneRecord
    from mainspring.stores.clock import Moment

LANES = """
SELECT
  queue, task, count(job.lane), coalesce(sum(run_at > :now), 0),
  (:now - CAST(min(run_at) AS INTEGER)) / 1e6
FROM mainspring_lanes AS lanes
LEFT JOIN mainspring_jobs AS job INDEXED BY mainspring_line
  ON job.lane = lanes.lane AND state < 2
GROUP BY lanes.lane ORDER BY queue, task
"""

PAUSED = "SELECT queue FROM mainspring_paused ORDER BY queue"


def lanes(connection: sqlite3.Connection, moment: Moment) -> list[LaneRecord]:
    """Return each task of each queue, with the number of its jobs that wait."""
    rows = connection.execute(LANES, {"now": moment.micros}).fetchall()
    return [lane_of((text_in(queue), text_in(task), *rest)) for queue, task, *rest in rows]


def paused(connection: sqlite3.Connection) -> list[str]:
    """Return the names of the paused queues."""
    return [text_in(queue) for (queue,) in connection.execute(PAUSED).fetchall()]
