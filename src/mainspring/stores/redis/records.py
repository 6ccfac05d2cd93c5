"""Answers of the scripts as the records that views read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.json import Decoder

from mainspring.model.job import Claim, Ended, Failure, JobState
from mainspring.model.job_options import NO_OWN_OPTIONS, read_options
from mainspring.model.note import LogLine
from mainspring.model.view import AttemptRecord, JobRecord, NodeRecord, progress_at
from mainspring.stores.clock import MICROS, as_datetime

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

PRIORITY, RUN_AT = slice(0, 10), slice(10, 27)
"""Parts of a place; a priority is kept as a number above 0."""

LEAST_PRIORITY = -(2**31)

decode_failure = Decoder(Failure).decode


class LostJob(Struct, frozen=True):
    """A job that a lost node holds."""

    key: int
    fence: int
    crashes: int
    task: str


def fields_of(flat: list[str]) -> dict[str, str]:
    """Return the fields of a hash."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def record_of(row: tuple[int, list[str], str, str, str]) -> JobRecord:
    """Return a job as views read it."""
    key, flat, queue, task, node = row
    job = fields_of(flat)
    state = JobState(job["state"])
    place = job["place"]
    return JobRecord(
        key=key,
        id=job["id"],
        task=task,
        queue=queue,
        priority=int(place[PRIORITY]) + LEAST_PRIORITY,
        state=state,
        payload=job["payload"].encode(),
        attempts=int(job.get("attempts", 0)) + (state is JobState.RUNNING),
        crashes=int(job.get("crashes", 0)),
        created_at=as_datetime(int(job["created_at"])),
        run_at=as_datetime(int(place[RUN_AT])),
        started_at=moment_of(job.get("began_at") or job.get("claimed_at")),
        completed_at=moment_of(job.get("ended_at")),
        node=node or None,
        result=job["result"].encode() if "result" in job else None,
        failure=failure_of(job.get("failure")),
        expires_at=moment_of(job.get("expires_at")),
        cancelling="cancelling" in job,
        progress=progress_at(state, float(job.get("progress", 0))),
        message=job.get("message", ""),
        options=read_options(job["options"].encode()) if "options" in job else NO_OWN_OPTIONS,
    )


def claims_of(
    rows: Iterable[tuple[int, str, int, int, int, bool, str, str, str | bool]],
) -> list[Claim]:
    """Return claims."""
    names: dict[str, tuple[str, str]] = {}
    claims = []
    for key, job_id, fence, attempt, crashes, expired, payload, lane, options in rows:
        if lane not in names:
            names[lane] = names_of(lane)
        queue, task = names[lane]
        claims.append(
            Claim(
                key=key,
                id=job_id,
                fence=fence,
                task=task,
                queue=queue,
                payload=payload.encode(),
                attempt=attempt,
                crashes=crashes,
                expired=expired,
                options=options.encode() if isinstance(options, str) else None,
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
    return AttemptRecord(
        number=int(fence),
        node=node,
        started_at=as_datetime(int(began_at)),
        ended_at=moment_of(ended_at),
        outcome=outcome or None,
        failure=failure_of(failure),
    )


def end_of(row: tuple[str, str, str, str, str]) -> Ended:
    """Return the end of a job."""
    job_id, task, state, result, failure = row
    return Ended(
        key=int(job_id.partition("-")[0]),
        task=task,
        state=JobState(state),
        result=result.encode() if result else None,
        failure=failure_of(failure),
    )


def node_of(row: tuple[int, list[str], int], now: int) -> NodeRecord:
    """Return a node; one that has lost its lease to a rescuer may be rescued again."""
    key, flat, running = row
    node = fields_of(flat)
    return NodeRecord(
        key=key,
        name=node["name"],
        host=node["host"],
        pid=int(node["pid"]),
        expires_in=(int(node.get("lease_until", 0)) - now) / MICROS,
        running=running,
        serves=node["serves"].encode(),
        report=node.get("report", "{}").encode(),
    )


def line_of(row: tuple[str, str, str]) -> LogLine:
    """Return a line of a log."""
    at, fence, text = row
    return LogLine(as_datetime(int(at)), int(fence), text)


def moment_of(micros: str | None) -> datetime | None:
    """Return a stored time that may be missing."""
    return as_datetime(int(micros)) if micros else None


def failure_of(text: str | None) -> Failure | None:
    """Return a stored failure, if there is one."""
    return decode_failure(text) if text else None
