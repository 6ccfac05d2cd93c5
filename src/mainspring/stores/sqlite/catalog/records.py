"""Jobs as views read them: in one statement, so that a job on the move is seen exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import json
from msgspec.structs import replace

from mainspring.model.view import JobRecord, progress_at
from mainspring.stores.job_id import format_id, parse_id
from mainspring.stores.sqlite.rows.columns import Columns, bytes_in, failure_of, text_in
from mainspring.stores.sqlite.rows.states import final_state, live_state, trouble_with

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

RECORDS = """
SELECT
  job.key, CAST(job.nonce AS INTEGER), task, queue, priority, state, CAST(payload AS BLOB),
  attempts + (state = 2), crashes,
  created_at, run_at, claimed_at, NULL, coalesce(nodes.name, job.node), NULL,
  (SELECT failure FROM attempts WHERE key = job.key ORDER BY fence DESC LIMIT 1),
  expires_at, cancel_asked, fraction, message
FROM jobs AS job
JOIN lanes USING (lane)
LEFT JOIN nodes ON nodes.node = job.node
LEFT JOIN progress ON progress.key = job.key
WHERE {which}
UNION ALL
SELECT
  job.key, CAST(job.nonce AS INTEGER), task, queue, priority, state, CAST(payload AS BLOB),
  attempts, crashes, created_at, run_at, began_at, job.ended_at, coalesce(nodes.name, job.node),
  CAST(result AS BLOB), failure,
  expires_at, 0, fraction, message
FROM finished AS job
JOIN lanes USING (lane)
LEFT JOIN nodes ON nodes.node = job.node
LEFT JOIN progress ON progress.key = job.key
WHERE {which}
"""

BY_ID = RECORDS.replace("{which}", "job.key = :key AND CAST(job.nonce AS INTEGER) = :nonce")
BY_KEYS = RECORDS.replace("{which}", "job.key IN (SELECT value FROM json_each(:keys))")


def parameters_of(job_id: str) -> dict[str, int]:
    """Return key and nonce as a statement asks for them; zeros, which no job has, for a bad id."""
    key, nonce = parse_id(job_id) or (0, 0)
    return {"key": key, "nonce": nonce}


def by_id(connection: sqlite3.Connection, job_id: str) -> JobRecord | None:
    """Return a job as it is now."""
    rows = connection.execute(BY_ID, parameters_of(job_id)).fetchall()
    return record_of(rows[0]) if rows else None


def by_keys(connection: sqlite3.Connection, keys: Sequence[int]) -> list[JobRecord]:
    """Return jobs as they are now, the newest first."""
    told = {"keys": json.encode(keys).decode()}
    records = [record_of(row) for row in connection.execute(BY_KEYS, told).fetchall()]
    return sorted(records, key=lambda record: record.key, reverse=True)


def record_of(row: tuple[Any, ...]) -> JobRecord:
    """Return the record of a row of `RECORDS`; its failure tells of columns that can't be read."""
    key, nonce, task, queue, priority, state, payload, attempts, crashes, *rest = row
    created_at, run_at, started_at, completed_at, node, result, failure, *rest = rest
    expires_at, cancelling, fraction, message = rest
    final = completed_at is not None
    seen = final_state(state) if final else live_state(state)
    read = Columns()
    record = JobRecord(
        key=key,
        id=format_id(key, nonce),
        task=read.text("task", task),
        queue=read.text("queue", queue),
        priority=read.integer("priority", priority),
        state=seen,
        payload=bytes_in(payload),
        attempts=read.integer("attempts", attempts),
        crashes=read.integer("crashes", crashes),
        created_at=read.moment("created_at", created_at),
        run_at=read.moment("run_at", run_at),
        started_at=read.moment_or_none("started_at", started_at),
        completed_at=read.moment_or_none("completed_at", completed_at),
        node=None if node is None else text_in(node),
        result=result,
        failure=trouble_with(state, final=final) or failure_of(failure),
        expires_at=read.moment_or_none("expires_at", expires_at),
        cancelling=bool(cancelling),
        progress=progress_at(seen, read.fraction("progress", fraction)),
        message="" if message is None else read.text("message", message),
    )
    return replace(record, failure=record.failure or read.failure()) if read.unreadable else record
