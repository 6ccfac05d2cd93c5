"""How final jobs are dropped: the oldest of each lane, a few at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import json

from mainspring.model.job import JobState
from mainspring.stores.sqlite.states import NUMBERS
from mainspring.stores.sqlite.values import text_of

if TYPE_CHECKING:
    import sqlite3

OLD = """
SELECT group_concat(key) FROM (
  SELECT finished.key FROM lanes
  CROSS JOIN finished INDEXED BY finished_by_end
    ON finished.lane = lanes.lane AND finished.state = ? AND finished.ended_at <= ?
  LIMIT ?
)
"""

DROP_JOBS = "DELETE FROM finished WHERE key IN (SELECT value FROM json_each(?))"
DROP_ATTEMPTS = "DELETE FROM attempts WHERE key IN (SELECT value FROM json_each(?))"
DROP_NODES = "DELETE FROM nodes WHERE ended_at <= ?"

keys_text = json.Decoder(list[int])


def purge(
    connection: sqlite3.Connection, *, completed_before: int, failed_before: int, limit: int
) -> int:
    """Drop up to `limit` final jobs that ended before the stored times; return how many."""
    keys: list[int] = []
    for state in (JobState.COMPLETED, JobState.CANCELLED, JobState.FAILED):
        before = failed_before if state is JobState.FAILED else completed_before
        asked = (NUMBERS[state], before, limit - len(keys))
        keys += keys_text.decode(f"[{text_of(connection, OLD, asked)}]")
    dropped = json.encode(keys).decode()
    connection.execute(DROP_JOBS, (dropped,))
    connection.execute(DROP_ATTEMPTS, (dropped,))
    connection.execute(DROP_NODES, (min(completed_before, failed_before),))
    return len(keys)
