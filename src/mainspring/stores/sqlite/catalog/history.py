"""Attempts and ends of jobs, and the number of jobs in each state.

One statement each, so that a job on the move is seen exactly once.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from msgspec import Raw, json

from mainspring.stores.job_id import format_id, parse_id
from mainspring.stores.rules.columns import UNREADABLE
from mainspring.stores.sql.records import Ending, attempt_of, counts_of, end_of
from mainspring.stores.sqlite.catalog.records import parameters_of
from mainspring.stores.sqlite.rows.bulk import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.job import Ended
    from mainspring.model.view import AttemptRecord

HISTORY = """
SELECT fence, coalesce(nodes.name, node), began_at, said.ended_at, outcome, failure
FROM (
  SELECT fence, node, began_at, ended_at, outcome, failure FROM mainspring_attempts
  WHERE key = :key AND EXISTS (
    SELECT 1 FROM mainspring_jobs WHERE key = :key AND CAST(nonce AS INTEGER) = :nonce
    UNION ALL SELECT 1 FROM mainspring_finished WHERE key = :key AND CAST(nonce AS INTEGER) = :nonce
  )
  UNION ALL
  SELECT fence, node, claimed_at, NULL, NULL, NULL FROM mainspring_jobs
  WHERE key = :key AND CAST(nonce AS INTEGER) = :nonce AND state = 2
  UNION ALL
  SELECT fence, node, began_at, ended_at, state, failure FROM mainspring_finished
  WHERE key = :key AND CAST(nonce AS INTEGER) = :nonce AND node IS NOT NULL
) AS said LEFT JOIN mainspring_nodes AS nodes USING (node)
ORDER BY fence
"""

ENDED = """
SELECT group_concat(printf(
  '[%d,%d,%d,%s,%d,%s,%d,%s]', finished.key, nonce, state, json_quote(CAST(task AS TEXT)),
  coalesce(length(CAST(result AS BLOB)), 4), coalesce(result, 'null'),
  coalesce(length(CAST(failure AS BLOB)), 4), coalesce(failure, 'null')
))
FROM json_each(?) AS asked
CROSS JOIN mainspring_finished AS finished ON finished.key = asked.value
JOIN mainspring_lanes USING (lane)
"""

ENDED_EACH = """
SELECT
  finished.key, CAST(nonce AS INTEGER), state, CAST(task AS TEXT),
  CAST(coalesce(result, 'null') AS BLOB), failure
FROM json_each(?) AS asked
CROSS JOIN mainspring_finished AS finished ON finished.key = asked.value
JOIN mainspring_lanes USING (lane)
"""

ENDED_ONE = """
SELECT
  key, CAST(nonce AS INTEGER), state, CAST(task AS TEXT), CAST(coalesce(result, 'null') AS BLOB),
  failure
FROM mainspring_finished JOIN mainspring_lanes USING (lane)
WHERE key = ? AND CAST(nonce AS INTEGER) = ?
"""

STATS = """
SELECT queue, final, state, sum(jobs) FROM (
  SELECT lane, 0 AS final, state, count(*) AS jobs FROM mainspring_jobs GROUP BY lane, state
  UNION ALL
  SELECT lane, 1, state, count(*) FROM mainspring_finished GROUP BY lane, state
) JOIN mainspring_lanes USING (lane)
GROUP BY queue, final, state
"""

NULL = Raw(b"null")
"""The text of an absent failure."""

MOST_IDS = 1_000
"""Ids of one statement; their results stand in one text."""

endings = json.Decoder(list[tuple[int, int, int, str, int, Raw, int, Raw]])


def history(connection: sqlite3.Connection, job_id: str) -> list[AttemptRecord]:
    """Return a job's attempts, oldest first."""
    rows = connection.execute(HISTORY, parameters_of(job_id)).fetchall()
    return [attempt_of(row) for row in rows]


def ended(connection: sqlite3.Connection, job_ids: Sequence[str]) -> dict[str, Ended]:
    """Return how those of the jobs ended that have ended."""
    if len(job_ids) == 1:
        return ended_one(connection, job_ids[0])
    asked = set(job_ids)
    keys = list({parsed[0] for job_id in asked if (parsed := parse_id(job_id))})
    found: dict[str, Ended] = {}
    for start in range(0, len(keys), MOST_IDS):
        some = json.encode(keys[start : start + MOST_IDS]).decode()
        for row in endings_of(connection, some):
            job_id = format_id(row[0], row[1])
            if job_id in asked:
                found[job_id] = end_of(row)
    return found


def ended_one(connection: sqlite3.Connection, job_id: str) -> dict[str, Ended]:
    """Return the same for one job, which a lone waiter asks for: without a text between."""
    found = connection.execute(ENDED_ONE, parse_id(job_id) or (0, 0)).fetchall()
    return {job_id: end_of(found[0])} if found else {}


def endings_of(connection: sqlite3.Connection, keys: str) -> list[Ending]:
    """Return what `ENDED` finds; row by row if a result is no JSON (see `claim_sql.rows_in`).

    Or if together they are longer than SQLite lets a text be.
    """
    try:
        rows = endings.decode(f"[{text_of(connection, ENDED, (keys,))}]")
    except (*UNREADABLE, sqlite3.DataError):
        return connection.execute(ENDED_EACH, (keys,)).fetchall()
    if [row for row in rows if len(row[5]) != row[4] or len(row[7]) != row[6]]:
        return connection.execute(ENDED_EACH, (keys,)).fetchall()
    return [
        (key, nonce, state, task, bytes(result), None if failure == NULL else bytes(failure))
        for key, nonce, state, task, _, result, _, failure in rows
    ]


def stats(connection: sqlite3.Connection) -> dict[str, dict[str, int]]:
    """Return the number of jobs by queue and state."""
    return counts_of(connection.execute(STATS).fetchall())
