"""Jobs as views read them: in one statement, so that a job on the move is seen exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import json

from mainspring.stores.job_id import parse_id
from mainspring.stores.sql.records import record_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from mainspring.model.view import JobRecord

RECORDS = """
SELECT
  job.key, CAST(job.nonce AS INTEGER), task, queue, priority, state, CAST(payload AS BLOB),
  attempts + (state = 2), crashes,
  created_at, run_at, claimed_at, NULL, coalesce(nodes.name, job.node), NULL,
  (SELECT failure FROM mainspring_attempts WHERE key = job.key ORDER BY fence DESC LIMIT 1),
  expires_at, cancel_asked, fraction, message, CAST(options AS BLOB)
FROM mainspring_jobs AS job
JOIN mainspring_lanes USING (lane)
LEFT JOIN mainspring_nodes AS nodes ON nodes.node = job.node
LEFT JOIN mainspring_progress AS progress ON progress.key = job.key
WHERE {which}
UNION ALL
SELECT
  job.key, CAST(job.nonce AS INTEGER), task, queue, priority, state, CAST(payload AS BLOB),
  attempts, crashes, created_at, run_at, began_at, job.ended_at, coalesce(nodes.name, job.node),
  CAST(result AS BLOB), failure,
  expires_at, 0, fraction, message, CAST(options AS BLOB)
FROM mainspring_finished AS job
JOIN mainspring_lanes USING (lane)
LEFT JOIN mainspring_nodes AS nodes ON nodes.node = job.node
LEFT JOIN mainspring_progress AS progress ON progress.key = job.key
WHERE {which}
"""

BY_ID = RECORDS.replace("{which}", "job.key = :key AND CAST(job.nonce AS INTEGER) = :nonce")
BY_KEYS = RECORDS.replace("{which}", "job.key IN (SELECT value FROM json_each(:keys))")


def parameters_of(job_id: str) -> dict[str, int]:
    """Return key and nonce as a statement asks for them; zeros, which no job has, for a bad id."""
    key, nonce = parse_id(job_id) or (0, 0)
    return {"key": key, "nonce": nonce}


def get(connection: sqlite3.Connection, job_id: str) -> JobRecord | None:
    """Return a job as it is now."""
    rows = connection.execute(BY_ID, parameters_of(job_id)).fetchall()
    return record_of(rows[0]) if rows else None


def by_keys(connection: sqlite3.Connection, keys: Sequence[int]) -> list[JobRecord]:
    """Return jobs as they are now, the newest first."""
    parameters = {"keys": json.encode(keys).decode()}
    records = [record_of(row) for row in connection.execute(BY_KEYS, parameters).fetchall()]
    return sorted(records, key=lambda record: record.key, reverse=True)
