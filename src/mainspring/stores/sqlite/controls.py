"""Cancel, retry, reschedule, drop, expire, pause and resume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import json

from mainspring.faults import fault
from mainspring.model.job import CANCELLED, EXPIRED, JobState
from mainspring.stores.job_id import format_id, parse_id
from mainspring.stores.rules.retry import FinalJob, plan_retry
from mainspring.stores.sql.states import FINAL_STATES, NUMBERS, READY, RUNNING, SCHEDULED
from mainspring.stores.sqlite.catalog.listing import LANES, fits, numbers
from mainspring.stores.sqlite.purge import drop_keys
from mainspring.stores.sqlite.rows.bulk import text_of
from mainspring.stores.sqlite.transitions.endings import FORGET, text_of_failure

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from mainspring.model.job import Failure
    from mainspring.model.view import JobFilter
    from mainspring.stores.clock import Moment

LIVE = """
SELECT group_concat(printf('[%d,%d,%d]', jobs.key, nonce, state))
FROM json_each(?) AS asked CROSS JOIN mainspring_jobs AS jobs ON jobs.key = asked.value
"""

FINAL = """
SELECT group_concat(printf('[%d,%d,%d]', finished.key, nonce, state))
FROM json_each(?) AS asked CROSS JOIN mainspring_finished AS finished ON finished.key = asked.value
"""

MARK = "UPDATE mainspring_jobs SET cancel_asked = 1 WHERE key IN (SELECT value FROM json_each(?))"

END_WAITING = """
INSERT OR REPLACE INTO mainspring_finished (
  key, nonce, lane, state, priority, run_at, created_at, attempts, crashes, fence,
  ended_at, failure, payload, unique_key, expires_at, options
)
SELECT
  jobs.key, nonce, lane, ?, priority, run_at, created_at, attempts, crashes, fence,
  ?, ?, payload, unique_key, expires_at, options
FROM json_each(?) AS asked CROSS JOIN mainspring_jobs AS jobs ON jobs.key = asked.value
WHERE state <> 2
"""

ANY_LATE = "SELECT EXISTS (SELECT 1 FROM mainspring_jobs WHERE expires_at <= ? AND state < 2)"

LATE = """
SELECT group_concat(key) FROM (
  SELECT key FROM mainspring_jobs INDEXED BY mainspring_expiring
  WHERE expires_at IS NOT NULL AND expires_at <= ? AND state < 2
  ORDER BY expires_at LIMIT ?
)
"""

REVIVABLE = """
SELECT
  done.key, CAST(done.nonce AS INTEGER), done.unique_key, live.key, CAST(live.nonce AS INTEGER)
FROM json_each(?) AS asked
CROSS JOIN mainspring_finished AS done ON done.key = asked.value
LEFT JOIN mainspring_jobs AS live
  ON live.unique_key = done.unique_key AND live.unique_key IS NOT NULL
WHERE done.state NOT IN (3, 6)
"""

NOTE_LAST_ATTEMPT = """
INSERT OR REPLACE INTO mainspring_attempts (key, fence, node, began_at, ended_at, outcome, failure)
SELECT
  finished.key, fence, node, coalesce(began_at, ended_at), ended_at,
  CASE state WHEN 5 THEN ? ELSE ? END, failure
FROM json_each(?) AS asked CROSS JOIN mainspring_finished AS finished ON finished.key = asked.value
WHERE node IS NOT NULL
"""

REVIVE = """
INSERT INTO mainspring_jobs (
  key, nonce, lane, state, priority, run_at, created_at, fence, payload, unique_key, options
)
SELECT
  finished.key, nonce, lane, ?, priority, ?, created_at, fence, coalesce(?, payload), unique_key,
  options
FROM json_each(?) AS asked CROSS JOIN mainspring_finished AS finished ON finished.key = asked.value
"""

RESCHEDULE = """
UPDATE mainspring_jobs SET
  state = coalesce(:state, state),
  run_at = CASE :state WHEN 1 THEN :run_at WHEN 0 THEN min(run_at, :run_at) ELSE run_at END,
  priority = coalesce(:priority, priority)
WHERE key IN (SELECT value FROM json_each(:keys)) AND state IN (0, 1)
"""

BURY_NO_MORE = "DELETE FROM mainspring_finished WHERE key IN (SELECT value FROM json_each(?))"

ENDED = """
SELECT group_concat(key) FROM (
  SELECT job.key FROM json_each(:lanes) AS lane
  CROSS JOIN mainspring_finished AS job INDEXED BY mainspring_finished_by_end
    ON job.lane = lane.value AND job.state {states} AND job.ended_at <= :before
  LIMIT :limit
)
"""

PAUSE = "INSERT OR IGNORE INTO mainspring_paused (queue) VALUES (?)"
RESUME = "DELETE FROM mainspring_paused WHERE queue = ?"

rows_of_three = json.Decoder(list[tuple[int, int, int]])
some_keys = json.Decoder(list[int])


def states_of(
    connection: sqlite3.Connection, statement: str, job_ids: Collection[str]
) -> dict[str, int]:
    """Return the state's number of each of the ids that the statement's table holds."""
    keys = list({parsed[0] for job_id in job_ids if (parsed := parse_id(job_id))})
    rows = rows_of_three.decode(f"[{text_of(connection, statement, (text_of_keys(keys),))}]")
    found = {format_id(key, nonce): state for key, nonce, state in rows}
    return {job_id: found[job_id] for job_id in job_ids if job_id in found}


def text_of_keys(keys: Collection[int]) -> str:
    """Return keys as JSON text."""
    return json.encode(list(keys)).decode()


def key_of(job_id: str) -> int:
    """Return the key in an id that the store gave."""
    parsed = parse_id(job_id)
    return 0 if parsed is None else parsed[0]


def cancel(connection: sqlite3.Connection, job_ids: Sequence[str], moment: Moment) -> list[bool]:
    """Cancel what waits, mark what runs; return for each whether it was live."""
    live = states_of(connection, LIVE, job_ids)
    running = [key_of(job_id) for job_id, state in live.items() if state == RUNNING]
    waiting = [key_of(job_id) for job_id, state in live.items() if state != RUNNING]
    if running:
        connection.execute(MARK, (text_of_keys(running),))
    if waiting:
        end_waiting(connection, waiting, CANCELLED, moment)
    return [job_id in live for job_id in job_ids]


def end_waiting(
    connection: sqlite3.Connection, keys: Sequence[int], failure: Failure, moment: Moment
) -> None:
    """Cancel jobs that wait; no attempt is noted."""
    asked = text_of_keys(keys)
    cancelled = NUMBERS[JobState.CANCELLED]
    why = text_of_failure(failure)
    connection.execute(END_WAITING, (cancelled, moment.micros, why, asked))
    connection.execute(FORGET, (asked,))


def any_late(connection: sqlite3.Connection, moment: Moment) -> bool:
    """Return whether there is anything to expire, without a lock."""
    return bool(connection.execute(ANY_LATE, (moment.micros,)).fetchone()[0])


def expire(connection: sqlite3.Connection, limit: int, moment: Moment) -> list[int]:
    """Cancel what waits past its expiry; return the keys."""
    late = some_keys.decode(f"[{text_of(connection, LATE, (moment.micros, limit))}]")
    end_waiting(connection, late, EXPIRED, moment)
    return late


def retry(
    connection: sqlite3.Connection,
    job_ids: Sequence[str],
    payload: bytes | None,
    moment: Moment,
) -> list[str | None]:
    """Let failed and cancelled jobs wait again; return the id of the live job for each."""
    plan = plan_retry(job_ids, revivable_among(connection, job_ids))
    revive(connection, [key_of(job_id) for job_id in plan.revived], payload, moment)
    return plan.answers


def revivable_among(
    connection: sqlite3.Connection, job_ids: Collection[str]
) -> dict[str, FinalJob]:
    """Return those of the jobs that have failed or were cancelled."""
    keys = {parsed[0] for job_id in job_ids if (parsed := parse_id(job_id))}
    rows = connection.execute(REVIVABLE, (text_of_keys(keys),)).fetchall()
    return {
        format_id(key, nonce): FinalJob(unique, None if live is None else format_id(live, of_live))
        for key, nonce, unique, live, of_live in rows
    }


def revive(
    connection: sqlite3.Connection, keys: Sequence[int], payload: bytes | None, moment: Moment
) -> None:
    """Move final jobs back into their lanes, as if new but for their history."""
    asked = text_of_keys(keys)
    words = JobState.CANCELLED.value, JobState.FAILED.value
    connection.execute(NOTE_LAST_ATTEMPT, (*words, asked))
    arguments = None if payload is None else payload.decode()
    connection.execute(REVIVE, (READY, moment.micros, arguments, asked))
    connection.execute(BURY_NO_MORE, (asked,))


def reschedule(
    connection: sqlite3.Connection,
    job_ids: Sequence[str],
    *,
    delay: float | None,
    priority: int | None,
    moment: Moment,
) -> list[bool]:
    """Change when what waits may start, and its priority; return for each if it waited."""
    live = states_of(connection, LIVE, job_ids)
    waiting = {job_id for job_id, state in live.items() if state in (READY, SCHEDULED)}
    changed = {
        "keys": text_of_keys({key_of(job_id) for job_id in waiting}),
        "state": None if delay is None else SCHEDULED if delay > 0 else READY,
        "run_at": None if delay is None else moment.after(delay),
        "priority": priority,
    }
    connection.execute(RESCHEDULE, changed)
    return [job_id in waiting for job_id in job_ids]


def drop(connection: sqlite3.Connection, job_ids: Sequence[str]) -> int:
    """Drop final jobs with all that is known of them; return how many."""
    final = states_of(connection, FINAL, job_ids)
    drop_keys(connection, [key_of(job_id) for job_id in final])
    return len(final)


def drop_ended(
    connection: sqlite3.Connection,
    wanted: JobFilter,
    *,
    older_than: float,
    limit: int,
    moment: Moment,
) -> int:
    """Drop up to `limit` final jobs that fit and ended so many seconds ago."""
    lanes = connection.execute(LANES).fetchall()
    chosen = numbers(lane for lane in lanes if fits(lane, wanted))
    keys: list[int] = []
    for states in states_to_drop(wanted.status):
        if len(keys) < limit:
            asked = {
                "lanes": chosen,
                "before": moment.after(-older_than),
                "limit": limit - len(keys),
            }
            found = text_of(connection, ENDED.replace("{states}", states), asked)
            keys += some_keys.decode(f"[{found}]")
    drop_keys(connection, keys)
    fault("during_purge")
    return len(keys)


def states_to_drop(status: JobState | None) -> list[str]:
    """Return conditions of the state, each of which the index finds at once."""
    known = [f"= {number}" for number, state in FINAL_STATES.items() if status in (None, state)]
    unknown = [f"< {min(FINAL_STATES)}", f"> {max(FINAL_STATES)}"]
    return known if status in (JobState.COMPLETED, JobState.CANCELLED) else known + unknown


def pause(connection: sqlite3.Connection, queue: str) -> bool:
    """Hand out no more jobs of a queue; False if it was paused already."""
    return connection.execute(PAUSE, (queue,)).rowcount == 1


def resume(connection: sqlite3.Connection, queue: str) -> bool:
    """Hand out jobs of a queue again; False if it was not paused."""
    return connection.execute(RESUME, (queue,)).rowcount == 1
