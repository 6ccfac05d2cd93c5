"""The keys of a namespace as values for another store, and those of another store as keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.json import encode

from mainspring.model.job import FINAL, JobState
from mainspring.model.job_options import tags_in
from mainspring.model.stored_job import (
    AnswerPage,
    Arrival,
    StoredAnswer,
    StoredAttempt,
    StoredJob,
    StoredLine,
    StoreMarks,
)
from mainspring.stores.job_id import format_id, parse_id
from mainspring.stores.ownership import leaves_nothing
from mainspring.stores.redis.catalog import RedisCatalog
from mainspring.stores.redis.outcomes import text_of
from mainspring.stores.redis.records import (
    LEAST_PRIORITY,
    PRIORITY,
    RUN_AT,
    fields_of,
    fraction_in,
    number_in,
)
from mainspring.stores.redis.timetable import text_of as text_of_schedule
from mainspring.stores.rules.columns import Columns, bytes_in, failure_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.timetable import ScheduleRecord

OTHERS = "copied:"
"""Begins the key of a node of another store: no node here has one like it."""

ANSWERS_IN_DATABASE = 20
"""Keys of the database that are looked at for each idempotency key that is wanted."""


@leaves_nothing
class PortableRedis(RedisCatalog):
    """Gives all that a Redis store holds, and takes it from another. Implements Portable."""

    def export_jobs(self, *, after: int | None, limit: int) -> list[StoredJob]:
        """Return up to `limit` jobs with a key above `after`, by their keys."""
        asked = False if after is None else after
        return [job_of(row) for row in self._run("export_jobs", asked, limit)]

    def import_jobs(self, jobs: Sequence[StoredJob]) -> list[Arrival]:
        """Keep jobs under their keys; return what became of each."""
        names = {one.node for one in jobs if one.node is not None}
        names |= {past.node for one in jobs for past in one.past}
        words = self._run("import_jobs", [row_of(one) for one in jobs], sorted(names))
        return [Arrival(word) for word in words]

    def export_answers(self, *, cursor: str | None, limit: int) -> AnswerPage:
        """Return idempotency keys, of about so many."""
        after, rows = self._run("export_answers", cursor or "0", limit * ANSWERS_IN_DATABASE)
        answers = [answer for row in rows if (answer := answer_of(*row)) is not None]
        return AnswerPage(answers, None if after == "0" else after)

    def import_answers(self, answers: Sequence[StoredAnswer]) -> None:
        """Keep idempotency keys."""
        rows = [(one.idempotency_key, format_id(one.key, one.nonce), one.until) for one in answers]
        self._run("import_answers", rows)

    def import_schedules(self, schedules: Sequence[ScheduleRecord]) -> int:
        """Keep schedules of whose names there are none; return how many."""
        texts = [(one.new.name, False, text_of_schedule(one)) for one in schedules]
        return sum(bool(self._run("swap", [change])) for change in texts)

    def marks(self) -> StoreMarks:
        """Return the highest numbers that it has given."""
        return StoreMarks(*self._run("marks"))

    def raise_marks(self, wanted: StoreMarks) -> None:
        """Give only higher numbers from now on."""
        self._run("raise_marks", wanted.key, wanted.lock_fence)


def job_of(row: Sequence[Any]) -> StoredJob:
    """Return a job of an answer; what can't be read is nothing, or zero."""
    key, job_id, queue, task, word, place, delayed, node, flat, past, lines = row
    job, read, state = fields_of(flat), Columns(), JobState(word)

    def number(name: str, default: int | None = 0) -> Any:
        stored = number_in(job.get(name), default)
        return default if stored is None else read.integer(name, stored, default or 0)

    return StoredJob(
        key=key,
        nonce=(parse_id(job_id) or (0, 0))[1],
        task=task,
        queue=queue,
        state=state,
        priority=int(place[PRIORITY]) + LEAST_PRIORITY,
        run_at=int(place[RUN_AT]),
        created_at=number("created_at"),
        payload=bytes_in(job.get("payload", "")),
        delayed=delayed and state is JobState.PENDING,
        attempts=number("attempts"),
        crashes=number("crashes"),
        fence=number("fence"),
        unique=job.get("unique"),
        expires_at=number("expires_at", None),
        options=bytes_in(job["options"]) if "options" in job else None,
        node=node or None,
        began_at=number("began_at" if state in FINAL else "claimed_at", None),
        ended_at=number("ended_at", None),
        keep_until=number("keep_until", None),
        result=bytes_in(job["result"]) if "result" in job else None,
        failure=failure_of(job.get("failure") or None) if state in FINAL else None,
        progress=read.fraction("progress", fraction_in(job.get("progress"))) or None,
        message=job.get("message"),
        past=tuple(attempt_of(entry) for entry in past),
        log=tuple(line_of(entry) for entry in lines),
    )


def attempt_of(entry: Sequence[str]) -> StoredAttempt:
    """Return a past attempt of an answer."""
    fence, node, began_at, ended_at, outcome, failure = entry
    read = Columns()
    return StoredAttempt(
        fence=read.integer("fence", number_in(fence)),
        node=node,
        began_at=read.integer("began_at", number_in(began_at)),
        ended_at=read.integer("ended_at", number_in(ended_at)),
        outcome=outcome,
        failure=failure_of(failure or None),
    )


def line_of(entry: Sequence[str]) -> StoredLine:
    """Return a line of an answer."""
    at, fence, text = entry
    read = Columns()
    return StoredLine(
        read.integer("at", number_in(at)), read.integer("fence", number_in(fence)), text
    )


def answer_of(name: str, text: str | dict[str, str]) -> StoredAnswer | None:
    """Return an idempotency key of an answer; None for what has gone, or was none."""
    until, _, job_id = text.partition(" ") if isinstance(text, str) else ("", "", "")
    parsed, number = parse_id(job_id), number_in(until)
    if parsed is None or not isinstance(number, int):
        return None
    return StoredAnswer(name, *parsed, number)


def row_of(one: StoredJob) -> tuple[object, ...]:
    """Return a job as the script takes it: what a hash or a list keeps is text."""
    final = one.state in FINAL
    waiting_failure = one.past[-1].failure if one.past else None
    fields: dict[str, object] = {
        "created_at": one.created_at,
        "payload": one.payload.decode("utf-8", "backslashreplace"),
        "options": None if one.options is None else one.options.decode(),
        "unique": one.unique,
        "expires_at": one.expires_at,
        "attempts": one.attempts or None,
        "crashes": one.crashes or None,
        "fence": one.fence or None,
        "node": None if one.node is None else OTHERS + one.node,
        "began_at": one.began_at,
        "ended_at": one.ended_at,
        "keep_until": one.keep_until,
        "result": None if one.result is None else one.result.decode("utf-8", "backslashreplace"),
        "failure": text_of(one.failure if final else waiting_failure) or None,
        "progress": one.progress,
        "message": one.message,
    }
    return (
        one.key,
        format_id(one.key, one.nonce),
        one.queue,
        one.task,
        one.state.value,
        one.priority,
        one.run_at,
        one.delayed,
        [str(part) for item in fields.items() if item[1] is not None for part in item],
        False if one.unique is None else one.unique,
        False if one.expires_at is None else one.expires_at,
        False if one.ended_at is None else one.ended_at,
        False if one.keep_until is None else one.keep_until,
        [attempt_row(past) for past in one.past],
        [(str(line.at), str(line.fence), line.text) for line in one.log],
        tags_in(one.options),
    )


def attempt_row(past: StoredAttempt) -> tuple[str, ...]:
    """Return a past attempt as the script takes it."""
    failure = "" if past.failure is None else encode(past.failure).decode()
    began_at, ended_at = str(past.began_at), str(past.ended_at)
    return str(past.fence), OTHERS + past.node, began_at, ended_at, past.outcome, failure
