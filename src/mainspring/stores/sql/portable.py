"""Rows as values for another store, and such values as rows: what SQL stores share of both.

In a statement `{after}` and `{limit}` stand for parameters, and `{keys}` for a list of keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import json

from mainspring.model.job import FINAL, JobState
from mainspring.model.job_options import options_text, tags_in
from mainspring.model.stored_job import (
    Arrival,
    StoredAnswer,
    StoredAttempt,
    StoredJob,
    StoredLine,
)
from mainspring.model.timetable import encode_rule
from mainspring.stores.clock import as_micros
from mainspring.stores.rules.columns import Columns, bytes_in, failure_of, text_in
from mainspring.stores.sql.states import KEPT, NUMBERS, READY, SCHEDULED, final_state, live_state

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from mainspring.model.job import Failure
    from mainspring.model.timetable import ScheduleRecord
    from mainspring.stores.sql.lanes import Name

Record = dict[str, Any]
"""A row by the names of its columns."""

# One statement, so that a job on its way from one table to the other is seen once.
JOBS = """
WITH chosen AS (
  SELECT key FROM (SELECT key FROM jobs WHERE key > {after} ORDER BY key LIMIT {limit}) AS live
  UNION ALL
  SELECT key FROM (SELECT key FROM finished WHERE key > {after} ORDER BY key LIMIT {limit}) AS done
  ORDER BY key LIMIT {limit}
)
SELECT
  job.key, nonce, task, queue, state, priority, run_at, created_at, payload, attempts, crashes,
  fence, unique_key, expires_at, options, coalesce(nodes.name, CAST(job.node AS text)), claimed_at,
  NULL AS ended_at, NULL AS keep_until, NULL AS result, NULL AS failure, fraction, message
FROM jobs AS job
JOIN lanes AS lanes ON lanes.lane = job.lane
LEFT JOIN nodes AS nodes ON nodes.node = job.node
LEFT JOIN progress AS progress ON progress.key = job.key
WHERE job.key IN (SELECT key FROM chosen)
UNION ALL
SELECT
  job.key, nonce, task, queue, state, priority, run_at, created_at, payload, attempts, crashes,
  fence, unique_key, expires_at, options, coalesce(nodes.name, CAST(job.node AS text)), began_at,
  job.ended_at, keep_until, result, failure, fraction, message
FROM finished AS job
JOIN lanes AS lanes ON lanes.lane = job.lane
LEFT JOIN nodes AS nodes ON nodes.node = job.node
LEFT JOIN progress AS progress ON progress.key = job.key
WHERE job.key IN (SELECT key FROM chosen)
"""

ATTEMPTS = """
SELECT
  key, fence, coalesce(nodes.name, CAST(past.node AS text)), began_at, past.ended_at, outcome,
  failure
FROM attempts AS past LEFT JOIN nodes AS nodes ON nodes.node = past.node
WHERE key IN {keys} ORDER BY key, fence
"""

LINES = "SELECT key, at, fence, line FROM log WHERE key IN {keys} ORDER BY key, number"

KNOWN = """
SELECT key, nonce FROM jobs WHERE key IN {keys}
UNION ALL SELECT key, nonce FROM finished WHERE key IN {keys}
"""

ANSWERS = """
SELECT idempotency_key, key, nonce, until FROM idempotency
WHERE idempotency_key > {after} ORDER BY idempotency_key LIMIT {limit}
"""

# `there` is the table.
ONE_ANSWER = """
ON CONFLICT (idempotency_key) DO UPDATE
SET key = excluded.key, nonce = excluded.nonce, until = excluded.until
WHERE excluded.until > there.until
"""

ENDED_NODES = "SELECT name, node FROM nodes WHERE ended_at IS NOT NULL AND name IN {names}"


def jobs_of(
    rows: Iterable[Sequence[Any]],
    attempts: Iterable[Sequence[Any]],
    lines: Iterable[Sequence[Any]],
) -> list[StoredJob]:
    """Return the jobs of rows of `JOBS`, `ATTEMPTS` and `LINES`, by their keys."""
    past: dict[int, list[StoredAttempt]] = {}
    for key, *row in attempts:
        past.setdefault(key, []).append(attempt_of(row))
    log: dict[int, list[StoredLine]] = {}
    for key, *row in lines:
        log.setdefault(key, []).append(line_of(row))
    ordered = sorted(rows, key=lambda row: int(row[0]))
    return [job_of(row, past.get(row[0], ()), log.get(row[0], ())) for row in ordered]


def job_of(
    row: Sequence[Any], past: Iterable[StoredAttempt], log: Iterable[StoredLine]
) -> StoredJob:
    """Return the job of a row; what can't be read is nothing, or zero."""
    key, nonce, task, queue, state, priority, run_at, created_at, payload, *rest = row
    attempts, crashes, fence, unique, expires_at, options, node, began_at, *ending = rest
    ended_at, keep_until, result, failure, fraction, message = ending
    read = Columns()
    return StoredJob(
        key=key,
        nonce=read.integer("nonce", nonce),
        task=text_in(task),
        queue=text_in(queue),
        state=live_state(state) if ended_at is None else final_state(state),
        priority=read.integer("priority", priority),
        run_at=read.integer("run_at", run_at),
        created_at=read.integer("created_at", created_at),
        payload=bytes_in(payload),
        delayed=ended_at is None and state == SCHEDULED,
        attempts=read.integer("attempts", attempts),
        crashes=read.integer("crashes", crashes),
        fence=read.integer("fence", fence),
        unique=None if unique is None else text_in(unique),
        expires_at=None if expires_at is None else read.integer("expires_at", expires_at),
        options=None if options is None else bytes_in(options),
        node=None if node is None else text_in(node),
        began_at=None if began_at is None else read.integer("began_at", began_at),
        ended_at=None if ended_at is None else read.integer("ended_at", ended_at),
        keep_until=None if keep_until is None else read.integer("keep_until", keep_until),
        result=None if result is None else bytes_in(result),
        failure=failure_of(failure),
        progress=None if fraction is None else read.fraction("progress", fraction),
        message=None if message is None else text_in(message),
        past=tuple(past),
        log=tuple(log),
    )


def attempt_of(row: Sequence[Any]) -> StoredAttempt:
    """Return the attempt of a row."""
    fence, node, began_at, ended_at, outcome, failure = row
    read = Columns()
    return StoredAttempt(
        read.integer("fence", fence),
        text_in(node),
        read.integer("began_at", began_at),
        read.integer("ended_at", ended_at),
        final_state(outcome).value if isinstance(outcome, int) else text_in(outcome),
        failure_of(failure),
    )


def line_of(row: Sequence[Any]) -> StoredLine:
    """Return the line of a row."""
    at, fence, line = row
    read = Columns()
    return StoredLine(read.integer("at", at), read.integer("fence", fence), text_in(line))


def answer_of(row: Sequence[Any]) -> StoredAnswer:
    """Return the idempotency key of a row."""
    name, key, nonce, until = row
    read = Columns()
    numbers = read.integer("key", key), read.integer("nonce", nonce), read.integer("until", until)
    return StoredAnswer(text_in(name), *numbers)


def arrivals_of(
    jobs: Sequence[StoredJob], known: Mapping[int, int], borne: Collection[str]
) -> list[Arrival]:
    """Return what becomes of jobs, by the nonces of keys that are there and unique keys in use."""

    def arrival_of(one: StoredJob) -> Arrival:
        if one.key in known:
            return Arrival.THERE if known[one.key] == one.nonce else Arrival.KEY_TAKEN
        is_met = one.state not in FINAL and one.unique is not None and one.unique in borne
        return Arrival.UNIQUE_TAKEN if is_met else Arrival.KEPT

    return [arrival_of(one) for one in jobs]


def records_of(
    jobs: Iterable[StoredJob], lanes: Mapping[Name, int], nodes: Mapping[str, int]
) -> dict[str, list[Record]]:
    """Return the rows of jobs, by their table."""
    records: dict[str, list[Record]] = {
        table: [] for table in ("jobs", "finished", "attempts", "progress", "log", "tags")
    }
    for one in jobs:
        common = _common(one, lanes[one.queue, one.task])
        if one.state in FINAL:
            records["finished"].append(common | _ending(one, nodes))
        else:
            state = SCHEDULED if one.delayed else READY
            records["jobs"].append(common | {"state": state, "cancel_asked": False})
        records["attempts"] += [_attempt(one.key, past, nodes) for past in one.past]
        if one.progress is not None or one.message is not None:
            said = {"fraction": one.progress, "message": one.message}
            records["progress"].append({"key": one.key, **said})
        records["log"] += [
            {
                "key": one.key,
                "number": number,
                "fence": line.fence,
                "at": line.at,
                "line": line.text,
            }
            for number, line in enumerate(one.log, 1)
        ]
        records["tags"] += [{"tag": tag, "key": one.key} for tag in tags_in(one.options)]
    return records


def node_names(jobs: Iterable[StoredJob]) -> list[str]:
    """Return the names of the nodes that ran these jobs."""
    names = {one.node for one in jobs if one.node is not None}
    return sorted(names | {past.node for one in jobs for past in one.past})


def schedule_record(record: ScheduleRecord) -> Record:
    """Return the row of a schedule."""
    new = record.new
    return {
        "name": new.name,
        "rule": encode_rule(new.rule).decode(),
        "task": new.task,
        "queue": new.queue,
        "payload": new.payload.decode(),
        "priority": new.priority,
        "catch_up": new.catch_up,
        "unique_key": new.unique,
        "expires": new.expires,
        "added": new.added,
        "options": options_text(new.options),
        "anchor": as_micros(record.anchor),
        "last_tick": as_micros(record.last_tick),
        "paused": record.paused,
    }


def answer_record(answer: StoredAnswer) -> Record:
    """Return the row of an idempotency key."""
    numbers = {"key": answer.key, "nonce": answer.nonce, "until": answer.until}
    return {"idempotency_key": answer.idempotency_key, **numbers}


def _common(one: StoredJob, lane: int) -> Record:
    return {
        "key": one.key,
        "nonce": one.nonce,
        "lane": lane,
        "priority": one.priority,
        "run_at": one.run_at,
        "created_at": one.created_at,
        "attempts": one.attempts,
        "crashes": one.crashes,
        "fence": one.fence,
        "payload": _text(one.payload),
        "unique_key": one.unique,
        "expires_at": one.expires_at,
        "options": None if one.options is None else _text(one.options),
    }


def _ending(one: StoredJob, nodes: Mapping[str, int]) -> Record:
    is_kept = one.keep_until is not None and one.state is JobState.COMPLETED
    return {
        "state": KEPT if is_kept else NUMBERS[one.state],
        "node": None if one.node is None else nodes[one.node],
        "began_at": one.began_at,
        "ended_at": one.ended_at,
        "keep_until": one.keep_until,
        "result": None if one.result is None else _text(one.result),
        "failure": _failure(one.failure),
    }


def _attempt(key: int, past: StoredAttempt, nodes: Mapping[str, int]) -> Record:
    return {
        "key": key,
        "fence": past.fence,
        "node": nodes[past.node],
        "began_at": past.began_at,
        "ended_at": past.ended_at,
        "outcome": past.outcome,
        "failure": _failure(past.failure),
    }


def _failure(failure: Failure | None) -> str | None:
    return None if failure is None else json.encode(failure).decode()


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "backslashreplace")
