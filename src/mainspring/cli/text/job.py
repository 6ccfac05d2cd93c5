"""Jobs as an operator sees them: fields as values for JSON, and as texts.

Arguments and results are shown as the JSON that is stored. They are never decoded: looking at a job
must not make an object of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import json
from msgspec.structs import replace

from mainspring.cli.text.table import short
from mainspring.model.counted import counted
from mainspring.model.duration import distance
from mainspring.model.stored_json import stored_call, stored_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mainspring.model.job import Failure
    from mainspring.model.job_options import JobOptions
    from mainspring.model.note import LogLine
    from mainspring.model.view import AttemptRecord, JobRecord
    from mainspring.queue.explanation import Explanation

JOB_HEADS = ("ID", "TASK", "QUEUE", "STATUS", "ATTEMPT", "CREATED", "DUE", "ERROR", "TAGS")
JOB_DISPENSABLE = ("ERROR", "TAGS", "DUE", "CREATED", "ATTEMPT", "QUEUE", "TASK")
ATTEMPT_HEADS = ("NUMBER", "NODE", "STARTED", "SECONDS", "OUTCOME", "ERROR")
ATTEMPT_DISPENSABLE = ("ERROR", "STARTED", "NODE")

MOST_LETTERS = 10_000
"""Letters shown of arguments, and of a result."""


def job_fields(job: JobRecord) -> dict[str, Any]:
    """Return all fields of a job for JSON."""
    args, kwargs = stored_call(job.payload)
    return {
        "id": job.id,
        "task": job.task,
        "queue": job.queue,
        "priority": job.priority,
        "status": job.state,
        "cancelling": job.cancelling,
        "args": args,
        "kwargs": kwargs,
        "attempts": job.attempts,
        "crashes": job.crashes,
        "progress": job.progress,
        "message": job.message,
        "created_at": job.created_at,
        "run_at": job.run_at,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
        "expires_at": job.expires_at,
        "tags": job.options.tags,
        "metadata": job.options.metadata,
        "options": bare(job.options),
        "node": job.node,
        "result": None if job.result is None else stored_json(job.result),
        "error": failure_fields(job.failure),
    }


def attempt_fields(attempt: AttemptRecord) -> dict[str, Any]:
    """Return all fields of an attempt for JSON."""
    return {
        "number": attempt.number,
        "node": attempt.node,
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
        "outcome": attempt.outcome,
        "error": failure_fields(attempt.failure),
    }


def log_fields(line: LogLine) -> dict[str, Any]:
    """Return all fields of a line of a job's log for JSON."""
    return {"at": line.at, "attempt": line.number, "text": line.text}


def explanation_fields(found: Explanation) -> dict[str, Any]:
    """Return an explanation for JSON."""
    return {
        "id": found.job_id,
        "task": found.task,
        "queue": found.queue,
        "status": found.state,
        "at": found.at,
        "reasons": [{"why": one.why, "text": one.text} for one in found.reasons],
    }


def failure_fields(failure: Failure | None) -> dict[str, str] | None:
    """Return the evidence of a failure for JSON."""
    if failure is None:
        return None
    return {"type": failure.type, "message": failure.message, "traceback": failure.traceback}


def job_row(job: JobRecord, now: datetime, *, tagged: bool) -> tuple[str, ...]:
    """Return a job's cells below `JOB_HEADS`; the last one, its tags, if `tagged`."""
    waits = job.run_at > now and job.state == "pending"
    since = job.started_at if job.state == "running" else None
    return (
        job.id,
        job.task,
        job.queue,
        _state_said(job, "" if since is None else distance(since, now).removesuffix(" ago")),
        str(job.attempts),
        distance(job.created_at, now),
        distance(job.run_at, now) if waits else "",
        _brief(job.failure),
        *([", ".join(job.options.tags)] if tagged else []),
    )


def _state_said(job: JobRecord, runs: str) -> str:
    """Return the state; of a job that runs, for how long it does: so one that is stuck is seen."""
    said = f"{job.state} for {runs}" if runs and not runs.startswith("in ") else job.state.value
    return f"{said}, cancelling" if job.cancelling else said


def attempt_rows(attempts: Sequence[AttemptRecord], now: datetime) -> list[tuple[str, ...]]:
    """Return the cells of attempts below `ATTEMPT_HEADS`."""
    return [
        (
            str(one.number),
            one.node,
            distance(one.started_at, now),
            f"{((one.ended_at or now) - one.started_at).total_seconds():.3f}",
            one.outcome or "running",
            _brief(one.failure),
        )
        for one in attempts
    ]


def _brief(failure: Failure | None) -> str:
    """Return an error for a cell, without the module of mainspring's own ones."""
    return "" if failure is None else short(str(failure).removeprefix("mainspring.errors."))


def job_lines(job: JobRecord) -> list[str]:
    """Return a job's fields, one a line."""
    args, kwargs = stored_call(job.payload)
    said = job.progress or job.message
    facts: dict[str, object] = {
        "id": job.id,
        "task": job.task,
        "queue": f"{job.queue}, priority {job.priority}",
        "status": f"{job.state}, cancelling" if job.cancelling else job.state.value,
        "arguments": text_of(args) if kwargs is None else f"{text_of(args)} {text_of(kwargs)}",
        "attempts": f"{job.attempts}, and {counted(job.crashes, 'crash', 'crashes')}",
        "progress": f"{job.progress:.0%} {job.message}".rstrip() if said else None,
        "created": job.created_at,
        "due": job.run_at,
        "expires": job.expires_at,
        "tags": ", ".join(job.options.tags) or None,
        "metadata": json.encode(job.options.metadata).decode() if job.options.metadata else None,
        "options": json.encode(bare(job.options)).decode() if bare(job.options) else None,
        "started": job.started_at,
        "completed": job.completed_at,
        "node": job.node,
        "result": None if job.result is None else text_of(stored_json(job.result)),
        "error": job.failure,
    }
    return [f"{name:<12}{value}" for name, value in facts.items() if value is not None]


def bare(options: JobOptions) -> JobOptions:
    """Return options without tags and metadata, which stand for themselves, and headers."""
    return replace(options, tags=(), metadata={}, headers={})


def text_of(stored: Any) -> str:
    """Return stored JSON as text."""
    return short(stored if isinstance(stored, str) else bytes(stored).decode(), MOST_LETTERS)
