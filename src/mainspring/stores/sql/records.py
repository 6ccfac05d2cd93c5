"""Rows as views read them: the columns of each, in order, as every SQL store selects them.

Times are stored times, and texts may be bytes: a column is checked where it is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from mainspring.model.job import Ended, JobState
from mainspring.model.job_options import NO_OWN_OPTIONS
from mainspring.model.timetable import (
    CATCH_UPS,
    UNREADABLE_RULE,
    NewSchedule,
    ScheduleRecord,
    decode_rule,
)
from mainspring.model.view import AttemptRecord, JobRecord, LaneRecord, NodeRecord, progress_at
from mainspring.stores.clock import MICROS
from mainspring.stores.job_id import format_id
from mainspring.stores.rules.columns import Columns, bytes_in, failure_of, text_in
from mainspring.stores.sql.states import final_state, live_state, trouble_with

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Ending = tuple[int, int, int, str, str | bytes, str | bytes | None]
"""The row of an ended job: key, nonce, state, task, result, failure."""


def record_of(row: tuple[Any, ...]) -> JobRecord:
    """Return the record of a row; its failure tells of columns that can't be read."""
    key, nonce, task, queue, priority, state, payload, attempts, crashes, *rest = row
    created_at, run_at, started_at, completed_at, node, result, failure, *rest = rest
    expires_at, cancelling, fraction, message, options = rest
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
        result=None if result is None else bytes_in(result),
        failure=trouble_with(state, final=final) or failure_of(failure),
        expires_at=read.moment_or_none("expires_at", expires_at),
        cancelling=bool(cancelling),
        progress=progress_at(seen, read.fraction("progress", fraction)),
        message="" if message is None else read.text("message", message),
        options=NO_OWN_OPTIONS if options is None else read.options(options),
    )
    return replace(record, failure=record.failure or read.failure()) if read.unreadable else record


def attempt_of(row: tuple[Any, ...]) -> AttemptRecord:
    """Return the record of a row."""
    number, node, began_at, ended_at, outcome, failure = row
    read = Columns()
    return AttemptRecord(
        number=read.integer("number", number),
        node=text_in(node),
        started_at=read.moment("started_at", began_at),
        ended_at=read.moment_or_none("ended_at", ended_at),
        outcome=read_outcome(outcome),
        failure=failure_of(failure) or read.failure(),
    )


def read_outcome(outcome: object) -> str | None:
    """Return the word of an outcome, or of a final state's number; None while it runs."""
    if outcome is None:
        return None
    return final_state(outcome).value if isinstance(outcome, (int, float)) else text_in(outcome)


def end_of(row: Ending) -> Ended:
    """Return the value of a row."""
    key, _, number, task, result, failure = row
    state = final_state(number)
    kept = bytes_in(result) if state is JobState.COMPLETED else None
    trouble = trouble_with(number, final=True) or failure_of(failure)
    return Ended(key=key, task=task, state=state, result=kept, failure=trouble)


def lane_of(row: Sequence[Any]) -> LaneRecord:
    """Return the record of queue, task, jobs that wait, those scheduled, age of the oldest."""
    queue, task, pending, scheduled, oldest = row
    if oldest is None or pending == scheduled:
        return LaneRecord(queue, task, pending, scheduled)
    return LaneRecord(queue, task, pending, scheduled, max(0.0, float(oldest)))


def node_of(row: tuple[Any, ...], now: int) -> NodeRecord:
    """Return the record of a row; a lease that can't be read has run out."""
    key, name, host, pid, lease_until, running, serves, report = row
    read = Columns()
    record = NodeRecord(
        key=key,
        name=read.text("name", name),
        host=read.text("host", host),
        pid=read.integer("pid", pid),
        expires_in=(read.lease_end("lease_until", lease_until, now) - now) / MICROS,
        running=running,
        serves=bytes_in(serves),
        report=bytes_in(report),
    )
    return replace(record, unreadable=read.unreadable) if read.unreadable else record


def running_of(rows: Iterable[tuple[Any, Any, int]]) -> dict[int, dict[str, int]]:
    """Return numbers by node and task, of rows of node, task and number."""
    found: dict[int, dict[str, int]] = {}
    for node, task, jobs in rows:
        by_task, name = found.setdefault(node, {}), text_in(task)
        by_task[name] = by_task.get(name, 0) + jobs
    return found


def schedule_of(row: tuple[Any, ...]) -> ScheduleRecord:
    """Return the record of a row."""
    name, rule, task, queue, payload, priority, catch_up, *terms, anchor, last, paused = row
    unique, expires, added, options = terms
    read = Columns()
    new = NewSchedule(
        name=read.text("name", name),
        rule=read.decoded("rule", rule, decode_rule, UNREADABLE_RULE),
        task=read.text("task", task),
        queue=read.text("queue", queue),
        payload=bytes_in(payload),
        priority=read.integer("priority", priority),
        catch_up=read.word("catch_up", catch_up, CATCH_UPS),
        unique=None if unique is None else read.text("unique_key", unique),
        expires=read.seconds("expires", expires),
        added=bool(added),
        options=NO_OWN_OPTIONS if options is None else read.options(options),
    )
    anchored, ticked = read.moment("anchor", anchor), read.moment("last_tick", last)
    return ScheduleRecord(new, anchored, ticked, bool(paused), read.unreadable)


def counts_of(rows: Iterable[tuple[Any, bool, Any, int]]) -> dict[str, dict[str, int]]:
    """Return the number of jobs by queue and state, of rows: queue, final, state, jobs."""
    counts: dict[str, dict[str, int]] = {}
    for queue, final, number, jobs in rows:
        of_queue = counts.setdefault(text_in(queue), {state.value: 0 for state in JobState})
        state = final_state(number) if final else live_state(number)
        of_queue[state.value] += jobs
    return counts
