"""The end of a running job's row, guarded by state, node and fence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import json

from mainspring.stores.sqlite.rows.bulk import in_chunks, with_rows
from mainspring.stores.sqlite.transitions.grants import stale

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from mainspring.model.job import Failure, Grant

FINISH_COLUMNS = 7
FINISH = """
INSERT OR REPLACE INTO mainspring_finished (
  key, nonce, lane, state, priority, run_at, created_at, attempts, crashes, fence, node,
  began_at, ended_at, result, failure, payload, unique_key, expires_at, options
)
SELECT
  job.key, job.nonce, job.lane, given.column3, job.priority, job.run_at, job.created_at,
  job.attempts + ?, job.crashes + ?, job.fence, job.node,
  coalesce(given.column4, job.claimed_at), given.column5, given.column6, given.column7, job.payload,
  job.unique_key, job.expires_at, job.options
FROM (VALUES {rows}) AS given
CROSS JOIN mainspring_jobs AS job ON job.key = given.column1
WHERE job.state = 2 AND CAST(job.fence AS INTEGER) = given.column2 AND job.node = ?
"""

KEEP = """
UPDATE mainspring_finished AS finished SET keep_until = ended_at + json_extract(given.value, '$[2]')
FROM json_each(?) AS given
WHERE finished.key = json_extract(given.value, '$[0]')
  AND CAST(finished.fence AS INTEGER) = json_extract(given.value, '$[1]')
  AND finished.node = ?
  AND finished.state = 6 AND keep_until IS NULL
"""

FORGET = "DELETE FROM mainspring_jobs WHERE key IN (SELECT value FROM json_each(?))"
FORGET_ONE = "DELETE FROM mainspring_jobs WHERE key = ?"

Ending = tuple[int, int, int, int | None, int, str | None, str | None]
"""A row of `FINISH`: key, fence, state, began_at (None: never), ended_at, result, failure."""


def text_of_failure(failure: Failure | None) -> str | None:
    """Return a failure as JSON text."""
    return None if failure is None else json.encode(failure).decode()


def finish(
    connection: sqlite3.Connection,
    node: int,
    endings: Sequence[Ending],
    *,
    charged: int = 1,
    crashed: int = 0,
) -> set[Grant]:
    """Move jobs to the finished ones; return the grants that are not current (any more)."""
    if not endings:
        return set()
    moved = 0
    for chunk in in_chunks(endings):
        parameters: list[object] = [charged, crashed]
        for row in chunk:
            parameters += row
        parameters.append(node)
        statement = with_rows(FINISH, FINISH_COLUMNS, len(chunk))
        moved += connection.execute(statement, parameters).rowcount
    if moved == len(endings):
        forget(connection, [row[0] for row in endings])
        return set()
    asked = [(row[0], row[1]) for row in endings]
    refused = stale(connection, node, asked)
    if moved:
        forget(connection, [key for key, fence in asked if (key, fence) not in refused])
    return refused


def keep(
    connection: sqlite3.Connection, node: int, keeping: Sequence[tuple[int, int, int]]
) -> None:
    """Set how long (stored time) each job that was just finished is kept."""
    if keeping:
        connection.execute(KEEP, (json.encode(keeping).decode(), node))


def forget(connection: sqlite3.Connection, keys: list[int]) -> None:
    """Drop the rows of jobs that have been moved."""
    if len(keys) == 1:
        connection.execute(FORGET_ONE, keys)
    else:
        connection.execute(FORGET, (json.encode(keys).decode(),))
