"""How a running job's row moves: to the finished ones, or back into its lane.

Every move is guarded by state, node and fence, and tells which grants were refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, json

from mainspring.model.job import CANCELLED, JobState
from mainspring.stores.sqlite.states import NUMBERS
from mainspring.stores.sqlite.values import in_chunks, text_of, with_rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from mainspring.model.job import Failure

FINISH_COLUMNS = 7
FINISH = """
INSERT INTO finished (
  key, nonce, lane, state, priority, run_at, created_at, attempts, crashes, fence, node,
  began_at, ended_at, result, failure, payload, unique_key, expires_at
)
SELECT
  job.key, job.nonce, job.lane, told.column3, job.priority, job.run_at, job.created_at,
  job.attempts + ?, job.crashes + ?, job.fence, job.node,
  coalesce(told.column4, job.claimed_at), told.column5, told.column6, told.column7, job.payload,
  job.unique_key, job.expires_at
FROM (VALUES {rows}) AS told
CROSS JOIN jobs AS job ON job.key = told.column1
WHERE job.state = 2 AND job.fence = told.column2 AND job.node = ?
"""

CURRENT = """
SELECT group_concat('[' || job.key || ',' || job.fence || ']')
FROM json_each(?) AS told
CROSS JOIN jobs AS job ON job.key = json_extract(told.value, '$[0]')
WHERE job.state = 2 AND job.fence = json_extract(told.value, '$[1]') AND job.node = ?
"""

MARKED = """
SELECT group_concat('[' || key || ',' || fence || ']')
FROM jobs INDEXED BY cancelling WHERE cancel_asked = 1 AND state = 2 AND node = ?
"""

KEEP = """
UPDATE finished SET keep_until = ended_at + json_extract(told.value, '$[2]')
FROM json_each(?) AS told
WHERE finished.key = json_extract(told.value, '$[0]')
  AND finished.fence = json_extract(told.value, '$[1]')
  AND finished.node = ?
  AND finished.state = 6 AND keep_until IS NULL
"""

FORGET = "DELETE FROM jobs WHERE key IN (SELECT value FROM json_each(?))"
FORGET_ONE = "DELETE FROM jobs WHERE key = ?"

RECORD = """
INSERT INTO attempts (key, fence, node, began_at, ended_at, outcome, failure)
SELECT
  job.key, job.fence, job.node,
  coalesce(json_extract(told.value, '$.began_at'), job.claimed_at),
  json_extract(told.value, '$.ended_at'),
  json_extract(told.value, '$.outcome'),
  json_extract(told.value, '$.failure')
FROM json_each(?) AS told
CROSS JOIN jobs AS job ON job.key = json_extract(told.value, '$.key')
WHERE job.state = 2 AND job.fence = json_extract(told.value, '$.fence') AND job.node = ?
"""

REQUEUE = """
UPDATE jobs SET
  state = json_extract(told.value, '$.state'),
  run_at = coalesce(json_extract(told.value, '$.run_at'), run_at),
  attempts = attempts + json_extract(told.value, '$.charged'),
  crashes = crashes + json_extract(told.value, '$.crashed'),
  node = NULL,
  claimed_at = NULL
FROM json_each(?) AS told
WHERE jobs.key = json_extract(told.value, '$.key')
  AND jobs.state = 2
  AND jobs.fence = json_extract(told.value, '$.fence')
  AND jobs.node = ?
"""

Grant = tuple[int, int]
"""Key and fence: what an outcome answers to."""

grants = json.Decoder(list[Grant])


Ending = tuple[int, int, int, int | None, int, str | None, str | None]
"""A row of `FINISH`: key, fence, state, began_at (None: never), ended_at, result, failure."""


class Return(Struct, frozen=True, gc=False):
    """A job that goes back to its lane. `run_at` is None where it keeps its place."""

    key: int
    fence: int
    outcome: str
    ended_at: int
    began_at: int | None = None
    failure: str | None = None
    state: int = 0
    run_at: int | None = None
    charged: int = 0
    crashed: int = 0


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
    asked = [(row[0], row[1]) for row in endings]
    refused = set() if moved == len(endings) else stale(connection, node, asked)
    if moved:
        forget(connection, [key for key, fence in asked if (key, fence) not in refused])
    return refused


def keep(
    connection: sqlite3.Connection, node: int, keeping: Sequence[tuple[int, int, int]]
) -> None:
    """Say of jobs that were just finished how long (stored time) each is kept after its end."""
    if keeping:
        connection.execute(KEEP, (json.encode(keeping).decode(), node))


def forget(connection: sqlite3.Connection, keys: list[int]) -> None:
    """Drop the rows of jobs that have been moved."""
    if len(keys) == 1:
        connection.execute(FORGET_ONE, keys)
    else:
        connection.execute(FORGET, (json.encode(keys).decode(),))


def give_back(connection: sqlite3.Connection, node: int, returns: Sequence[Return]) -> set[Grant]:
    """Put jobs back into their lanes; return the grants that are not current (any more).

    A job that was asked to be cancelled ends instead.
    """
    if not returns:
        return set()
    marked = marked_of(connection, node)
    if marked:
        for row in returns:
            if (row.key, row.fence) in marked:
                end_marked(connection, node, row)
        returns = [row for row in returns if (row.key, row.fence) not in marked]
    return put_back(connection, node, returns) if returns else set()


def marked_of(connection: sqlite3.Connection, node: int) -> set[Grant]:
    """Return what a node holds that was asked to be cancelled."""
    return set(grants.decode(f"[{text_of(connection, MARKED, (node,))}]"))


def end_marked(connection: sqlite3.Connection, node: int, row: Return) -> None:
    """Cancel a job that would wait again, which leaves its counts as waiting would."""
    ending = (
        row.key,
        row.fence,
        NUMBERS[JobState.CANCELLED],
        row.began_at,
        row.ended_at,
        None,
        text_of_failure(CANCELLED),
    )
    finish(connection, node, [ending], charged=row.charged, crashed=row.crashed)


def put_back(connection: sqlite3.Connection, node: int, returns: Sequence[Return]) -> set[Grant]:
    """Let jobs wait again; return the grants that are not current (any more)."""
    parameters = (json.encode(returns).decode(), node)
    recorded = connection.execute(RECORD, parameters).rowcount
    asked = [(row.key, row.fence) for row in returns]
    refused = set() if recorded == len(returns) else stale(connection, node, asked)
    connection.execute(REQUEUE, parameters)
    return refused


def stale(connection: sqlite3.Connection, node: int, asked: list[Grant]) -> set[Grant]:
    """Return those of the grants that the node does not hold."""
    rows = text_of(connection, CURRENT, (json.encode(asked).decode(), node))
    return set(asked).difference(grants.decode(f"[{rows}]"))
