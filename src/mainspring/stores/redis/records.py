"""Answers of the scripts as the records that views read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from mainspring.model.job import Claim, Ended, JobState
from mainspring.model.job_options import NO_OWN_OPTIONS
from mainspring.model.note import LogLine
from mainspring.model.view import AttemptRecord, JobRecord, NodeRecord, progress_at
from mainspring.stores.clock import MICROS
from mainspring.stores.rules.columns import Columns, bytes_in, failure_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

PRIORITY, RUN_AT = slice(0, 10), slice(10, 27)
"""Parts of a place; a priority is kept as a number above 0."""

LEAST_PRIORITY = -(2**31)

MOST_DIGITS = 20
"""A longer text is no number of ours."""


class LostJob(Struct, frozen=True):
    """A job that a lost node holds."""

    key: int
    fence: int
    crashes: int
    task: str


def fields_of(flat: list[str]) -> dict[str, str]:
    """Return the fields of a hash."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def record_of(row: tuple[int, str, str, str, list[str], str, str, str]) -> JobRecord:
    """Return a job as views read it; its failure tells of fields that can't be read."""
    key, job_id, state_name, place, flat, queue, task, node = row
    job, read = fields_of(flat), Columns()
    state = JobState(state_name)
    record = JobRecord(
        key=key,
        id=job_id,
        task=task,
        queue=queue,
        priority=int(place[PRIORITY]) + LEAST_PRIORITY,
        state=state,
        payload=bytes_in(job.get("payload", "")),
        attempts=read.integer("attempts", number_in(job.get("attempts"), 0))
        + (state is JobState.RUNNING),
        crashes=read.integer("crashes", number_in(job.get("crashes"), 0)),
        created_at=read.moment("created_at", number_in(job.get("created_at"))),
        run_at=read.moment("run_at", int(place[RUN_AT])),
        started_at=moment_in(read, "started_at", job.get("began_at") or job.get("claimed_at")),
        completed_at=moment_in(read, "completed_at", job.get("ended_at")),
        node=node or None,
        result=bytes_in(job["result"]) if "result" in job else None,
        failure=failure_of(job.get("failure") or None),
        expires_at=moment_in(read, "expires_at", job.get("expires_at")),
        cancelling="cancelling" in job,
        progress=progress_at(state, read.fraction("progress", fraction_in(job.get("progress")))),
        message=job.get("message", ""),
        options=read.options(job["options"]) if "options" in job else NO_OWN_OPTIONS,
    )
    for name, stored in (("id", job_id), ("state", state_name), ("place", place)):
        if job.get(name) != stored:
            read.refuse(name)
    return replace(record, failure=record.failure or read.failure()) if read.unreadable else record


def claims_of(
    rows: Iterable[tuple[str, str, int, int, int, bool, str, str, str | bool, str]],
    now: int,
    monotonic: float,
) -> list[Claim]:
    """Return claims; `now` is the server's time, `monotonic` that of the clock here."""
    names: dict[str, tuple[str, str]] = {}
    claims = []
    for key, job_id, fence, attempt, crashes, expired, payload, lane, options, run_at in rows:
        if lane not in names:
            names[lane] = names_of(lane)
        queue, task = names[lane]
        ready_at = monotonic - (now - int(run_at)) / MICROS if run_at.isdecimal() else None
        claims.append(
            Claim(
                key=int(key),
                id=job_id,
                fence=fence,
                task=task,
                queue=queue,
                payload=bytes_in(payload),
                attempt=attempt,
                crashes=crashes,
                expired=expired,
                options=bytes_in(options) if isinstance(options, str) else None,
                ready_at=ready_at,
            )
        )
    return claims


def names_of(lane: str) -> tuple[str, str]:
    """Return queue and task of a lane: the length of the queue in bytes, the queue, the task."""
    length, _, names = lane.partition(":")
    encoded = names.encode()
    return encoded[: int(length)].decode(), encoded[int(length) + 1 :].decode()


def attempt_of(row: tuple[str, str, str, str, str, str]) -> AttemptRecord:
    """Return an attempt; it runs if it has no end."""
    fence, node, began_at, ended_at, outcome, failure = row
    read = Columns()
    return AttemptRecord(
        number=read.integer("number", number_in(fence)),
        node=node,
        started_at=read.moment("started_at", number_in(began_at)),
        ended_at=moment_in(read, "ended_at", ended_at),
        outcome=outcome or None,
        failure=failure_of(failure or None) or read.failure(),
    )


def end_of(row: tuple[str, str, str, str, str]) -> Ended:
    """Return the end of a job."""
    job_id, task, state, result, failure = row
    return Ended(
        key=int(job_id.partition("-")[0]),
        task=task,
        state=JobState(state),
        result=bytes_in(result) if result else None,
        failure=failure_of(failure or None),
    )


def node_of(row: tuple[int, list[str], int], now: int) -> NodeRecord:
    """Return a node; one that has lost its lease to a rescuer may be rescued again."""
    key, flat, running = row
    node, read = fields_of(flat), Columns()
    until = read.lease_end("lease_until", number_in(node.get("lease_until"), 0))
    record = NodeRecord(
        key=key,
        name=read.text("name", node.get("name")),
        host=read.text("host", node.get("host")),
        pid=read.integer("pid", number_in(node.get("pid"))),
        expires_in=(until - now) / MICROS,
        running=running,
        serves=bytes_in(node.get("serves", "{}")),
        report=bytes_in(node.get("report", "{}")),
    )
    return replace(record, unreadable=read.unreadable) if read.unreadable else record


def line_of(row: tuple[str, str, str]) -> LogLine:
    """Return a line of a log."""
    at, fence, text = row
    read = Columns()
    return LogLine(read.moment("at", number_in(at)), read.integer("fence", number_in(fence)), text)


def number_in(text: str | None, default: int | None = None) -> int | str | None:
    """Return a whole number that is kept as text, or else the text; `default` for none."""
    if text is None:
        return default
    return int(text) if len(text) <= MOST_DIGITS and text.isascii() and is_whole(text) else text


def is_whole(text: str) -> bool:
    """Return whether a text says a whole number."""
    return text.removeprefix("-").isdigit()


def fraction_in(text: str | None) -> float | str | None:
    """Return a number that is kept as text, or else the text."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def moment_in(read: Columns, name: str, text: str | None) -> datetime | None:
    """Return a stored time that may be missing."""
    return read.moment(name, number_in(text)) if text else None
