"""Cancel, retry, reschedule, drop, purge, expire, pause and resume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.faults import fault
from mainspring.model.job import CANCELLED, EXPIRED, JobState
from mainspring.stores.job_id import format_id, parse_id
from mainspring.stores.postgres.connections.statements import holds_nul, micros
from mainspring.stores.postgres.connections.trouble import Raced
from mainspring.stores.postgres.outcomes import text_of_failure
from mainspring.stores.rules.retry import FinalJob, plan_retry
from mainspring.stores.sql.states import FINAL_STATES, NUMBERS, READY, RUNNING, SCHEDULED

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mainspring.model.job import Failure
    from mainspring.model.view import JobFilter
    from mainspring.stores.postgres.connections.statements import ServerMoment, Statements

LIVE = """
SELECT key, nonce, state FROM jobs WHERE key = ANY (%(keys)s) ORDER BY key FOR UPDATE
"""

MARK = "UPDATE jobs SET cancel_asked = true WHERE key = ANY (%(keys)s)"

END_WAITING = """
WITH gone AS (DELETE FROM jobs WHERE key = ANY (%(keys)s) AND state <> 2 RETURNING *)
INSERT INTO finished (
  key, nonce, lane, state, priority, run_at, created_at, attempts, crashes, fence,
  ended_at, failure, payload, unique_key, expires_at, options
)
SELECT key, nonce, lane, 5, priority, run_at, created_at, attempts, crashes, fence,
  {now}, %(failure)s, payload, unique_key, expires_at, options
FROM gone
"""

ANY_LATE = "SELECT EXISTS (SELECT FROM jobs WHERE expires_at <= {now} AND state < 2)"

LATE = """
SELECT key FROM jobs WHERE expires_at <= {now} AND state < 2
ORDER BY expires_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""

REVIVABLE = """
SELECT done.key, done.nonce, done.unique_key, live.key, live.nonce
FROM finished AS done LEFT JOIN jobs AS live ON live.unique_key = done.unique_key
WHERE done.key = ANY (%(keys)s) AND done.state NOT IN (3, 6)
ORDER BY done.key FOR UPDATE OF done
"""

REVIVE = """
WITH revived AS (DELETE FROM finished WHERE key = ANY (%(keys)s) RETURNING *), noted AS (
  INSERT INTO attempts (key, fence, node, began_at, ended_at, outcome, failure)
  SELECT key, fence, node, coalesce(began_at, ended_at), ended_at,
    CASE state WHEN 5 THEN 'cancelled' ELSE 'failed' END, failure
  FROM revived WHERE node IS NOT NULL
)
INSERT INTO jobs (
  key, nonce, lane, state, priority, run_at, created_at, fence, payload, unique_key, options
)
SELECT key, nonce, lane, 0, priority, {now}, created_at, fence,
  coalesce(%(payload)s, payload), unique_key, options
FROM revived
ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL DO NOTHING
"""

RESCHEDULE = """
UPDATE jobs SET
  state = coalesce(%(state)s::smallint, state),
  run_at = CASE %(state)s::smallint WHEN 1 THEN {now} + %(delay)s::bigint
    WHEN 0 THEN least(run_at, {now}) ELSE run_at END,
  priority = coalesce(%(priority)s::bigint, priority)
WHERE key = ANY (%(keys)s) AND state IN (0, 1)
"""

FINAL = "SELECT key, nonce, state FROM finished WHERE key = ANY (%(keys)s) ORDER BY key FOR UPDATE"

DROP = """
WITH gone AS (DELETE FROM finished WHERE key = ANY (%(keys)s)),
forgotten AS (DELETE FROM attempts WHERE key = ANY (%(keys)s)),
untagged AS (DELETE FROM tags WHERE key = ANY (%(keys)s)),
silenced AS (DELETE FROM progress WHERE key = ANY (%(keys)s))
DELETE FROM log WHERE key = ANY (%(keys)s)
"""

ENDED = """
SELECT key FROM finished
WHERE state = %(state)s AND ended_at <= {now} - %(age)s
  AND (%(queue)s::text IS NULL AND %(task)s::text IS NULL OR lane = ANY (ARRAY(
    SELECT lane FROM lanes
    WHERE (%(queue)s::text IS NULL OR queue = %(queue)s)
      AND (%(task)s::text IS NULL OR task = %(task)s)
  )))
ORDER BY ended_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""

KEPT_LONG_ENOUGH = """
SELECT key FROM finished WHERE keep_until <= {now}
ORDER BY keep_until LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""

DROP_NODES = "DELETE FROM nodes WHERE ended_at <= {now} - %(age)s"
DROP_ANSWERS = """
DELETE FROM idempotency WHERE idempotency_key IN (
  SELECT idempotency_key FROM idempotency WHERE until <= {now} LIMIT 2000 FOR UPDATE SKIP LOCKED
)
"""

PAUSE = "INSERT INTO paused (queue) VALUES (%(queue)s) ON CONFLICT DO NOTHING"
RESUME = "DELETE FROM paused WHERE queue = %(queue)s"


def states_of(connection: Statements, statement: str, job_ids: Collection[str]) -> dict[str, int]:
    """Return the state's number of each of the ids that the statement's table holds, locked."""
    rows = connection.rows(statement, {"keys": keys_of(job_ids)})
    found = {format_id(key, nonce): state for key, nonce, state in rows}
    return {job_id: found[job_id] for job_id in job_ids if job_id in found}


def keys_of(job_ids: Collection[str]) -> list[int]:
    """Return the keys in ids that the store gave, each once."""
    return list({parsed[0] for job_id in job_ids if (parsed := parse_id(job_id))})


def cancel(connection: Statements, job_ids: Sequence[str], moment: ServerMoment) -> list[bool]:
    """Cancel what waits, mark what runs; return for each whether it was live."""
    live = states_of(connection, LIVE, job_ids)
    running = keys_of([job_id for job_id, state in live.items() if state == RUNNING])
    waiting = keys_of([job_id for job_id, state in live.items() if state != RUNNING])
    if running:
        connection.execute(MARK, {"keys": running})
    if waiting:
        end_waiting(connection, waiting, CANCELLED, moment)
    return [job_id in live for job_id in job_ids]


def end_waiting(
    connection: Statements, keys: Sequence[int], failure: Failure, moment: ServerMoment
) -> None:
    """Cancel jobs that wait; no attempt is noted."""
    asked = {"keys": list(keys), "failure": text_of_failure(failure), "now": moment.micros}
    connection.execute(END_WAITING, asked)


def any_late(connection: Statements, moment: ServerMoment) -> bool:
    """Return whether there is anything to expire, by reading only."""
    return bool(connection.rows(ANY_LATE, {"now": moment.micros})[0][0])


def expire(connection: Statements, limit: int, moment: ServerMoment) -> list[int]:
    """Cancel what waits past its expiry; return the keys."""
    rows = connection.rows(LATE, {"limit": limit, "now": moment.micros})
    late = [key for (key,) in rows]
    end_waiting(connection, late, EXPIRED, moment)
    return late


def retry(
    connection: Statements, job_ids: Sequence[str], payload: bytes | None, moment: ServerMoment
) -> list[str | None]:
    """Let failed and cancelled jobs wait again; return the id of the live job for each.

    Raises `Raced`: then the caller rolls back.
    """
    rows = connection.rows(REVIVABLE, {"keys": keys_of(job_ids)})
    found = {
        format_id(key, nonce): FinalJob(unique, None if live is None else format_id(live, of_live))
        for key, nonce, unique, live, of_live in rows
    }
    plan = plan_retry(job_ids, found)
    text = None if payload is None else payload.decode()
    asked = {"keys": keys_of(plan.revived), "payload": text, "now": moment.micros}
    if connection.execute(REVIVE, asked).rowcount < len(plan.revived):
        raise Raced  # a job with the unique key of one came in between
    return plan.answers


def reschedule(
    connection: Statements,
    job_ids: Sequence[str],
    *,
    delay: float | None,
    priority: int | None,
    moment: ServerMoment,
) -> list[bool]:
    """Change when what waits may start, and its priority; return for each if it waited."""
    live = states_of(connection, LIVE, job_ids)
    waiting = {job_id for job_id, state in live.items() if state in (READY, SCHEDULED)}
    changed = {
        "keys": keys_of(waiting),
        "state": None if delay is None else SCHEDULED if delay > 0 else READY,
        "delay": None if delay is None else micros(delay),
        "priority": priority,
        "now": moment.micros,
    }
    connection.execute(RESCHEDULE, changed)
    return [job_id in waiting for job_id in job_ids]


def drop(connection: Statements, job_ids: Sequence[str]) -> int:
    """Drop final jobs with all that is known of them; return how many."""
    final = states_of(connection, FINAL, job_ids)
    connection.execute(DROP, {"keys": keys_of(final)})
    return len(final)


def drop_ended(
    connection: Statements,
    wanted: JobFilter,
    *,
    older_than: float,
    limit: int,
    moment: ServerMoment,
) -> int:
    """Drop up to `limit` final jobs that fit and ended so many seconds ago."""
    if holds_nul(wanted.queue, wanted.task):
        return 0
    states = [number for number, state in FINAL_STATES.items() if wanted.status in (None, state)]
    ages = dict.fromkeys(states, older_than)
    keys = old_keys(connection, ages, limit, moment, queue=wanted.queue, task=wanted.task)
    connection.execute(DROP, {"keys": keys})
    fault("during_purge")
    return len(keys)


def old_keys(  # noqa: PLR0913  # each is one value of the statement
    connection: Statements,
    ages: Mapping[int, float],
    limit: int,
    moment: ServerMoment,
    *,
    queue: str | None = None,
    task: str | None = None,
) -> list[int]:
    """Return the oldest final jobs of each state that are older than its age, locked."""
    keys: list[int] = []
    for state, age in ages.items():
        asked = {"state": state, "age": micros(age), "limit": limit - len(keys)}
        asked |= {"queue": queue, "task": task, "now": moment.micros}  # type: ignore[dict-item]  # texts
        keys += [key for (key,) in connection.rows(ENDED, asked)]
    return keys


def purge(
    connection: Statements,
    *,
    ages: Mapping[JobState, float],
    limit: int,
    moment: ServerMoment,
) -> int:
    """Drop up to `limit` final jobs that are older than the age of their state; return how many."""
    numbers = {NUMBERS[state]: age for state, age in ages.items()}
    keys = old_keys(connection, numbers, limit, moment)
    asked = {"limit": limit - len(keys), "now": moment.micros}
    keys += [key for (key,) in connection.rows(KEPT_LONG_ENOUGH, asked)]
    if keys:
        connection.execute(DROP, {"keys": keys})
    connection.execute(DROP_NODES, {"age": micros(max(ages.values())), "now": moment.micros})
    connection.execute(DROP_ANSWERS, {"now": moment.micros})
    fault("during_purge")
    return len(keys)


def pause(connection: Statements, queue: str) -> bool:
    """Hand out no more jobs of a queue; False if it was paused already."""
    return connection.execute(PAUSE, {"queue": queue}).rowcount == 1


def resume(connection: Statements, queue: str) -> bool:
    """Hand out jobs of a queue again; False if it was not paused."""
    return connection.execute(RESUME, {"queue": queue}).rowcount == 1
