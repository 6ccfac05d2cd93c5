"""The return of a running job's row to its lane, guarded by state, node and fence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, json

from mainspring.model.job import CANCELLED, JobState
from mainspring.stores.sql.states import NUMBERS
from mainspring.stores.sqlite.transitions.endings import finish, text_of_failure
from mainspring.stores.sqlite.transitions.grants import marked_of, stale

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from mainspring.model.job import Grant

# OR REPLACE: a row that somebody else wrote under the same key must not hold up a rescue.
NOTE_ATTEMPTS = """
INSERT OR REPLACE INTO mainspring_attempts (key, fence, node, began_at, ended_at, outcome, failure)
SELECT
  job.key, job.fence, job.node,
  coalesce(
    json_extract(given.value, '$.began_at'), job.claimed_at, json_extract(given.value, '$.ended_at')
  ),
  json_extract(given.value, '$.ended_at'),
  json_extract(given.value, '$.outcome'),
  json_extract(given.value, '$.failure')
FROM json_each(?) AS given
CROSS JOIN mainspring_jobs AS job ON job.key = json_extract(given.value, '$.key')
WHERE job.state = 2 AND CAST(job.fence AS INTEGER) = json_extract(given.value, '$.fence')
  AND job.node = ?
"""

PUT_BACK = """
UPDATE mainspring_jobs AS jobs SET
  state = json_extract(given.value, '$.state'),
  run_at = coalesce(json_extract(given.value, '$.run_at'), run_at),
  attempts = attempts + json_extract(given.value, '$.charged'),
  crashes = crashes + json_extract(given.value, '$.crashed'),
  node = NULL,
  claimed_at = NULL
FROM json_each(?) AS given
WHERE jobs.key = json_extract(given.value, '$.key')
  AND jobs.state = 2
  AND CAST(jobs.fence AS INTEGER) = json_extract(given.value, '$.fence')
  AND jobs.node = ?
"""


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
    recorded = connection.execute(NOTE_ATTEMPTS, parameters).rowcount
    asked = [(row.key, row.fence) for row in returns]
    refused = set() if recorded == len(returns) else stale(connection, node, asked)
    connection.execute(PUT_BACK, parameters)
    return refused
