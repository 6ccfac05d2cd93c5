"""Jobs, queues and nodes as views read them: one statement each, so that none is seen twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.job import FINAL, JobState
from mainspring.model.view import SearchPage
from mainspring.stores.job_id import format_id, parse_id
from mainspring.stores.postgres.connections.statements import holds_nul
from mainspring.stores.sql.records import attempt_of, counts_of, end_of, lane_of, record_of
from mainspring.stores.sql.states import FINAL_STATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.job import Ended
    from mainspring.model.view import AttemptRecord, JobFilter, JobRecord, LaneRecord
    from mainspring.stores.postgres.connections.statements import ServerMoment, Statements

NEWEST = 2**63 - 1
"""Above any key."""

OLDEST = -(2**63)
"""Below any key."""

LAST_FAILURE = "(SELECT failure FROM attempts WHERE key = job.key ORDER BY fence DESC LIMIT 1)"

RECORDS = """
SELECT
  job.key, job.nonce, task, queue, priority, state, payload,
  attempts + CASE WHEN state = 2 THEN 1 ELSE 0 END, crashes, created_at, run_at, claimed_at, NULL,
  coalesce(nodes.name, job.node::text), NULL, {last_failure},
  expires_at, cancel_asked, fraction, message, options
FROM jobs AS job
JOIN lanes USING (lane)
LEFT JOIN nodes ON nodes.node = job.node
LEFT JOIN progress ON progress.key = job.key
WHERE {which}
UNION ALL
SELECT
  job.key, job.nonce, task, queue, priority, state, payload,
  attempts, crashes, created_at, run_at, began_at, job.ended_at,
  coalesce(nodes.name, job.node::text), result, failure,
  expires_at, false, fraction, message, options
FROM finished AS job
JOIN lanes USING (lane)
LEFT JOIN nodes ON nodes.node = job.node
LEFT JOIN progress ON progress.key = job.key
WHERE {which}
""".replace("{last_failure}", LAST_FAILURE)

BY_ID = RECORDS.replace("{which}", "job.key = %(key)s AND job.nonce = %(nonce)s")

# The newest that fit (or oldest), of both tables, and which of them match the text.
PAGE = """
WITH looked AS MATERIALIZED (
  (SELECT key FROM jobs AS job WHERE {live} AND {fits} ORDER BY key {order} LIMIT %(most)s)
  UNION ALL
  (SELECT key FROM finished AS job WHERE {final} AND {fits} ORDER BY key {order} LIMIT %(most)s)
  ORDER BY key {order} LIMIT %(most)s
), matching AS MATERIALIZED (
  SELECT key FROM looked WHERE {matches} ORDER BY key {order} LIMIT %(limit)s OFFSET %(skip)s
)
SELECT
  (SELECT count(*) FROM looked WHERE key >= %(floor)s), (SELECT min(key) FROM looked), found.*
FROM (SELECT) AS one LEFT JOIN ({records}) AS found ON true
ORDER BY found.key {order} NULLS LAST
"""

FITS = """
key {below} %(before)s AND (%(queue)s::text IS NULL AND %(task)s::text IS NULL OR lane = ANY (ARRAY(
  SELECT lane FROM lanes
  WHERE (%(queue)s::text IS NULL OR queue = %(queue)s)
    AND (%(task)s::text IS NULL OR task = %(task)s)
)))
"""
TAGGED = " AND key IN (SELECT key FROM tags WHERE tag = %(tag)s)"

# The type and the message are taken from the failure's text, in which `json` takes no \\u0000.
MATCHES = """
EXISTS (
  SELECT FROM (
    SELECT lane, nonce, payload, {last_failure} AS failure FROM jobs AS job
    WHERE job.key = looked.key
    UNION ALL
    SELECT lane, nonce, payload, failure FROM finished AS job WHERE job.key = looked.key
  ) AS job JOIN lanes USING (lane)
  CROSS JOIN LATERAL (SELECT replace(failure, '\\u0000', '\\ufffd')::json AS said) AS evidence
  WHERE position(%(text)s IN looked.key || '-' || lpad(to_hex(nonce), 8, '0')) > 0
    OR position(%(text)s IN lower(task)) > 0
    OR position(%(text)s IN lower(payload)) > 0
    OR position(%(text)s IN lower(
      regexp_replace(said ->> 'type', '^builtins\\.', '') || ': ' || (said ->> 'message')
    )) > 0
)
""".replace("{last_failure}", LAST_FAILURE)

HISTORY = """
SELECT fence, coalesce(nodes.name, said.node::text), began_at, said.ended_at, outcome, failure
FROM (
  SELECT fence, node, began_at, ended_at, outcome, failure FROM attempts
  WHERE key = %(key)s AND EXISTS (
    SELECT FROM jobs WHERE key = %(key)s AND nonce = %(nonce)s
    UNION ALL SELECT FROM finished WHERE key = %(key)s AND nonce = %(nonce)s
  )
  UNION ALL
  SELECT fence, node, claimed_at, NULL, NULL, NULL FROM jobs
  WHERE key = %(key)s AND nonce = %(nonce)s AND state = 2
  UNION ALL
  SELECT fence, node, began_at, ended_at,
    CASE state WHEN 4 THEN 'failed' WHEN 5 THEN 'cancelled' ELSE 'completed' END, failure
  FROM finished WHERE key = %(key)s AND nonce = %(nonce)s AND node IS NOT NULL
) AS said LEFT JOIN nodes ON nodes.node = said.node
ORDER BY fence
"""

ENDED = """
SELECT key, nonce, state, task, coalesce(result, 'null'), failure
FROM finished JOIN lanes USING (lane) WHERE key = ANY (%(keys)s)
"""

STATS = """
SELECT queue, final, state, sum(jobs)::bigint FROM (
  SELECT lane, false AS final, state, count(*) AS jobs FROM jobs GROUP BY lane, state
  UNION ALL
  SELECT lane, true, state, count(*) FROM finished GROUP BY lane, state
) AS counts JOIN lanes USING (lane)
GROUP BY queue, final, state
"""

# Each state has an index by lane: a condition on both would read all jobs for each lane.
LANES = """
SELECT queue, task, waiting.*
FROM lanes CROSS JOIN LATERAL (
  SELECT count(*), count(*) FILTER (WHERE run_at > {now}), ({now} - min(run_at)) / 1e6
  FROM (
    SELECT run_at FROM jobs WHERE state = 0 AND jobs.lane = lanes.lane
    UNION ALL
    SELECT run_at FROM jobs WHERE state = 1 AND jobs.lane = lanes.lane
  ) AS lines
) AS waiting
ORDER BY queue, task
"""

PAUSED = "SELECT queue FROM paused ORDER BY queue"


def parameters_of(job_id: str) -> dict[str, int]:
    """Return key and nonce as a statement asks for them; zeros, which no job has, for a bad id."""
    key, nonce = parse_id(job_id) or (0, 0)
    return {"key": key, "nonce": nonce}


def get(connection: Statements, job_id: str) -> JobRecord | None:
    """Return a job as it is now."""
    rows = connection.rows(BY_ID, parameters_of(job_id))
    return record_of(rows[0]) if rows else None


def history(connection: Statements, job_id: str) -> list[AttemptRecord]:
    """Return a job's attempts, oldest first."""
    return [attempt_of(row) for row in connection.rows(HISTORY, parameters_of(job_id))]


def ended(connection: Statements, job_ids: Sequence[str]) -> dict[str, Ended]:
    """Return how those of the jobs ended that have ended."""
    asked = set(job_ids)
    keys = [parsed[0] for job_id in asked if (parsed := parse_id(job_id))]
    rows = {format_id(row[0], row[1]): row for row in connection.rows(ENDED, {"keys": keys})}
    return {job_id: end_of(row) for job_id, row in rows.items() if job_id in asked}


def stats(connection: Statements) -> dict[str, dict[str, int]]:
    """Return the number of jobs by queue and state."""
    return counts_of(connection.rows(STATS))


def lanes(connection: Statements, moment: ServerMoment) -> list[LaneRecord]:
    """Return each task of each queue, with the number of its jobs that wait."""
    return [lane_of(row) for row in connection.rows(LANES, {"now": moment.micros})]


def paused(connection: Statements) -> list[str]:
    """Return the names of the paused queues, in order."""
    return [queue for (queue,) in connection.rows(PAUSED)]


def jobs(  # noqa: PLR0913  # the seam's
    connection: Statements,
    wanted: JobFilter,
    *,
    before: int | None,
    limit: int,
    skip: int,
    oldest_first: bool,
) -> list[JobRecord]:
    """Return the newest or the oldest jobs that fit."""
    if holds_nul(wanted.queue, wanted.task, wanted.search, wanted.tag):
        return []
    if wanted.search is not None:
        return search(connection, wanted, before=before, limit=limit, most=NEWEST).records
    first = OLDEST if oldest_first else NEWEST
    asked = asked_of(wanted, first if before is None else before, limit, most=skip + limit)
    rows = connection.rows(page_of(wanted, oldest_first=oldest_first), {**asked, "skip": skip})
    return [record_of(row[2:]) for row in rows if row[2] is not None]


def search(
    connection: Statements, wanted: JobFilter, *, before: int | None, limit: int, most: int
) -> SearchPage:
    """Return the newest jobs that fit among the first `most`, and how far the search came."""
    if holds_nul(wanted.queue, wanted.task, wanted.search, wanted.tag):
        return SearchPage([], 0, None)
    asked = asked_of(wanted, NEWEST if before is None else before, limit, most=most)
    rows = connection.rows(page_of(wanted), asked)
    records = [record_of(row[2:]) for row in rows if row[2] is not None]
    looked, oldest = rows[0][0], rows[0][1]
    full = len(records) == limit
    if full and records:
        oldest = records[-1].key
        ((looked, *_), *_) = connection.rows(page_of(wanted), {**asked, "floor": oldest})
    return SearchPage(records, looked, oldest if full or looked == most else None)


def asked_of(wanted: JobFilter, before: int, limit: int, *, most: int) -> dict[str, object]:
    """Return the parameters of a page's statement."""
    asked: dict[str, object] = {"before": before, "limit": limit, "most": most}
    asked |= {"queue": wanted.queue, "task": wanted.task, "floor": 0, "skip": 0}
    return asked | {"text": (wanted.search or "").lower(), "tag": wanted.tag}


def page_of(wanted: JobFilter, *, oldest_first: bool = False) -> str:
    """Return the statement for a filter; all of its text is ours."""
    matches = "true" if wanted.search is None else MATCHES
    records = RECORDS.replace("{which}", "job.key IN (SELECT key FROM matching)")
    fits = FITS if wanted.tag is None else FITS + TAGGED
    statement = PAGE.replace("{live}", live_states(wanted.status)).replace("{fits}", fits)
    statement = statement.replace("{final}", final_states(wanted.status))
    statement = statement.replace("{below}", ">" if oldest_first else "<")
    statement = statement.replace("{order}", "ASC" if oldest_first else "DESC")
    return statement.replace("{matches}", matches).replace("{records}", records)


def live_states(status: JobState | None) -> str:
    """Return the condition of a state that is not final, or of any."""
    conditions = {None: "true", JobState.PENDING: "state < 2", JobState.RUNNING: "state = 2"}
    return conditions.get(status, "false")


def final_states(status: JobState | None) -> str:
    """Return the condition of a final state, or of any."""
    if status is None or status not in FINAL:
        return "true" if status is None else "false"
    numbers = [str(number) for number, state in FINAL_STATES.items() if state is status]
    # The second condition is that of an index.
    exceptional = "" if status is JobState.COMPLETED else " AND state <> 3"
    return f"state IN ({', '.join(numbers)}){exceptional}"
