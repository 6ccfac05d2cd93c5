"""The grants of a node, by key and fence: current ones, marked ones, recorded ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import json

from mainspring.model.job import Grant
from mainspring.stores.sqlite.rows.bulk import text_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

CURRENT = """
SELECT group_concat(printf('[%d,%d]', job.key, job.fence))
FROM json_each(?) AS given
CROSS JOIN mainspring_jobs AS job ON job.key = json_extract(given.value, '$[0]')
WHERE job.state = 2 AND CAST(job.fence AS INTEGER) = json_extract(given.value, '$[1]')
  AND job.node = ?
"""

MARKED = """
SELECT group_concat(printf('[%d,%d]', key, fence))
FROM mainspring_jobs INDEXED BY mainspring_cancelling
WHERE cancel_asked = 1 AND state = 2 AND node = ?
"""

# Both ways by the key: a union of the two tables would be read as a whole first.
RECORDED = """
SELECT attempt.key, attempt.fence, outcome
FROM json_each(:asked) AS given
CROSS JOIN mainspring_attempts AS attempt
  ON attempt.key = json_extract(given.value, '$[0]')
  AND attempt.fence = json_extract(given.value, '$[1]')
WHERE attempt.node = :node
UNION ALL
SELECT
  job.key, job.fence,
  CASE job.state WHEN 4 THEN 'failed' WHEN 5 THEN 'cancelled' ELSE 'completed' END
FROM json_each(:asked) AS given
CROSS JOIN mainspring_finished AS job
  ON job.key = json_extract(given.value, '$[0]') AND job.fence = json_extract(given.value, '$[1]')
WHERE job.node = :node
"""

grants = json.Decoder(list[Grant])


def marked_of(connection: sqlite3.Connection, node: int) -> set[Grant]:
    """Return what a node holds that was asked to be cancelled."""
    return set(grants.decode(f"[{text_of(connection, MARKED, (node,))}]"))


def stale(connection: sqlite3.Connection, node: int, asked: list[Grant]) -> set[Grant]:
    """Return those of the grants that the node does not hold."""
    rows = text_of(connection, CURRENT, (json.encode(asked).decode(), node))
    return set(asked).difference(grants.decode(f"[{rows}]"))


def recorded_of(
    connection: sqlite3.Connection, node: int, asked: Collection[Grant]
) -> dict[Grant, str]:
    """Return the outcomes on record of a node's earlier claims, in the words of the history."""
    parameters = {"asked": json.encode(list(asked)).decode(), "node": node}
    rows = connection.execute(RECORDED, parameters).fetchall()
    return {(key, fence): word for key, fence, word in rows}
