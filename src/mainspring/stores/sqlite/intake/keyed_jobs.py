"""Jobs that bear a unique key, an idempotency key, an expiry or options, on their way in.

`stores/rules/enqueue.py` says what becomes of a batch of them; plain jobs need no such look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from mainspring.model.job_options import tags_in
from mainspring.stores.job_id import format_id, new_nonce, parse_id
from mainspring.stores.rules.columns import LATEST
from mainspring.stores.rules.enqueue import (
    IDEMPOTENT_SECONDS,
    EnqueuePlan,
    expires_at,
    idempotency_keys,
    is_keyed,
    plan_enqueue,
    unique_keys,
)
from mainspring.stores.sql.states import READY, RUNNING, SCHEDULED
from mainspring.stores.sqlite.intake.plain_jobs import FIRST_KEY, NEXT_KEY, insert, rows_of
from mainspring.stores.sqlite.rows.bulk import in_chunks, with_rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence

    from mainspring.model.job import NewJob
    from mainspring.stores.clock import Moment
    from mainspring.stores.sql.lanes import Name

# One that would never end was written by somebody else.
ANSWERED = """
SELECT idempotency_key, CAST(key AS INTEGER), CAST(nonce AS INTEGER) FROM mainspring_idempotency
WHERE idempotency_key IN (VALUES {rows}) AND until > ? AND until <= {latest}
""".replace("{latest}", str(LATEST))

REMEMBER = """
INSERT INTO mainspring_idempotency (idempotency_key, key, nonce, until) VALUES {rows}
ON CONFLICT (idempotency_key) DO UPDATE
SET key = excluded.key, nonce = excluded.nonce, until = excluded.until
"""

BEARERS = """
SELECT unique_key, key, CAST(nonce AS INTEGER), lane, state FROM mainspring_jobs
WHERE unique_key IN (VALUES {rows}) AND unique_key IS NOT NULL
"""

ENQUEUE_KEYED = """
INSERT INTO mainspring_jobs (
  key, nonce, lane, state, priority, run_at, created_at, payload, unique_key, expires_at,
  options
)
VALUES {rows}
"""

ENQUEUE_KEYED_ONE = """
INSERT INTO mainspring_jobs (
  key, nonce, lane, state, priority, run_at, created_at, payload, unique_key, expires_at,
  options
)
VALUES (
  {next_key},
  ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
)
""".replace("{next_key}", NEXT_KEY)

REPLACE = """
UPDATE mainspring_jobs
SET state = ?, priority = ?, run_at = ?, payload = ?, expires_at = ?, options = ?
WHERE key = ? AND state <> 2
"""


KEEP_TAGS = "INSERT OR IGNORE INTO mainspring_tags (tag, key) VALUES {rows}"
FORGET_TAGS = "DELETE FROM mainspring_tags WHERE key = ?"

KeyedRow = tuple[int, int, int, int, int, int, int, str, str | None, int | None, str | None]
"""The columns of `ENQUEUE_KEYED`."""


class KeyHolder(Struct, frozen=True, gc=False):
    """The live job that bears a unique key."""

    key: int
    nonce: int
    lane: int
    state: int

    @property
    def id(self) -> str:
        """The public id."""
        return format_id(self.key, self.nonce)

    @property
    def running(self) -> bool:
        """True if a node holds it."""
        return self.state == RUNNING


class QueuedJob(Struct, frozen=True, gc=False):
    """A job that stands in a lane now, ready or from `run_at` on."""

    lane: int
    state: int
    run_at: int


class Enqueued(Struct):
    """An id for each job of a batch, the jobs that stand in lanes now, and one that was made."""

    ids: list[str]
    placed: list[QueuedJob]
    made: str | None = None


def enqueue_into(
    connection: sqlite3.Connection,
    jobs: Sequence[NewJob],
    lanes: Mapping[Name, int],
    moment: Moment,
) -> Enqueued:
    """Keep jobs in a transaction that is open. Raises `DuplicateJob`: then the caller undoes it."""
    if is_keyed(jobs):
        return keep_keyed(connection, jobs, lanes, moment)
    rows = rows_of(jobs, lanes, moment.micros)
    placed = [QueuedJob(lane=row[1], state=row[2], run_at=row[4]) for row in rows]
    return Enqueued(insert(connection, rows), placed)


def keep_keyed(
    connection: sqlite3.Connection,
    jobs: Sequence[NewJob],
    lanes: Mapping[Name, int],
    moment: Moment,
) -> Enqueued:
    """Keep a batch of jobs with keys. Raises `DuplicateJob`, and then has written nothing."""
    bearers = bearers_of(connection, unique_keys(jobs))
    plan = plan_enqueue(jobs, answered(connection, idempotency_keys(jobs), moment), bearers)
    placed = replace(connection, plan, bearers, moment)
    placed += [placed_at(new, lanes[new.queue, new.task], moment) for new in plan.inserted]
    ids = insert_keyed(connection, plan.inserted, lanes, moment)
    keys = [key for key, _ in map(parsed, ids)]
    keep_tags(connection, dict(zip(keys, plan.inserted, strict=True)))
    remember(connection, plan.memories(ids), moment)
    return Enqueued(plan.ids(ids), placed, ids[-1] if ids else None)


def answered(
    connection: sqlite3.Connection, idempotency_keys: Sequence[str], moment: Moment
) -> dict[str, str]:
    """Return the ids that idempotency keys stand for."""
    found: dict[str, str] = {}
    for chunk in in_chunks(idempotency_keys):
        statement = with_rows(ANSWERED, 1, len(chunk))
        rows = connection.execute(statement, (*chunk, moment.micros)).fetchall()
        found |= {name: format_id(key, nonce) for name, key, nonce in rows}
    return found


def bearers_of(connection: sqlite3.Connection, unique_keys: Sequence[str]) -> dict[str, KeyHolder]:
    """Return the live jobs that bear unique keys."""
    found: dict[str, KeyHolder] = {}
    for chunk in in_chunks(unique_keys):
        rows = connection.execute(with_rows(BEARERS, 1, len(chunk)), chunk).fetchall()
        found |= {unique: KeyHolder(*row) for unique, *row in rows}
    return found


def replace(
    connection: sqlite3.Connection,
    plan: EnqueuePlan,
    bearers: Mapping[str, KeyHolder],
    moment: Moment,
) -> list[QueuedJob]:
    """Apply later jobs to the live ones of the same unique key that wait."""
    placed: list[QueuedJob] = []
    for unique, new in plan.replaced.items():
        one = placed_at(new, bearers[unique].lane, moment)
        row = (
            one.state,
            new.priority,
            one.run_at,
            new.payload.decode(),
            expires_at(new, moment),
            text_or_none(new.options),
            bearers[unique].key,
        )
        connection.execute(REPLACE, row)
        connection.execute(FORGET_TAGS, (bearers[unique].key,))
        keep_tags(connection, {bearers[unique].key: new})
        placed.append(one)
    return placed


def insert_keyed(
    connection: sqlite3.Connection,
    jobs: Sequence[NewJob],
    lanes: Mapping[Name, int],
    moment: Moment,
) -> list[str]:
    """Insert jobs and return their ids."""
    if len(jobs) <= 1:
        return [insert_one_keyed(connection, new, lanes, moment) for new in jobs]
    (first,) = connection.execute(FIRST_KEY).fetchone()
    rows = list(rows_of_keyed(jobs, lanes, moment, first))
    for chunk in in_chunks(rows):
        flat = [value for row in chunk for value in row]
        connection.execute(with_rows(ENQUEUE_KEYED, len(rows[0]), len(chunk)), flat)
    return [format_id(key, nonce) for key, nonce, *_ in rows]


def insert_one_keyed(
    connection: sqlite3.Connection, new: NewJob, lanes: Mapping[Name, int], moment: Moment
) -> str:
    """Insert a job that has come alone, in one statement, and return its id."""
    ((_, nonce, *row),) = rows_of_keyed([new], lanes, moment, 0)
    key = connection.execute(ENQUEUE_KEYED_ONE, (nonce, *row)).lastrowid or 0
    return format_id(key, nonce)


def rows_of_keyed(
    jobs: Sequence[NewJob], lanes: Mapping[Name, int], moment: Moment, first: int
) -> Iterator[KeyedRow]:
    """Yield the rows of `ENQUEUE_KEYED`; their keys begin with `first`."""
    for key, new in enumerate(jobs, first):
        placed = placed_at(new, lanes[new.queue, new.task], moment)
        yield (
            key,
            new_nonce(),
            placed.lane,
            placed.state,
            new.priority,
            placed.run_at,
            moment.micros,
            new.payload.decode(),
            new.unique,
            expires_at(new, moment),
            text_or_none(new.options),
        )


def remember(connection: sqlite3.Connection, memories: Mapping[str, str], moment: Moment) -> None:
    """Have idempotency keys stand for ids."""
    until = moment.after(IDEMPOTENT_SECONDS)
    rows = [(name, *parsed(job_id), until) for name, job_id in memories.items()]
    for chunk in in_chunks(rows):
        flat = [value for row in chunk for value in row]
        connection.execute(with_rows(REMEMBER, 4, len(chunk)), flat)


def keep_tags(connection: sqlite3.Connection, jobs: Mapping[int, NewJob]) -> None:
    """Have jobs be found by their tags; few have any."""
    rows = [(tag, key) for key, new in jobs.items() for tag in tags_in(new.options)]
    for chunk in in_chunks(rows):
        flat = [value for row in chunk for value in row]
        connection.execute(with_rows(KEEP_TAGS, 2, len(chunk)), flat)


def parsed(job_id: str) -> tuple[int, int]:
    """Return key and nonce in an id that the store gave."""
    return parse_id(job_id) or (0, 0)


def text_or_none(text: bytes | None) -> str | None:
    """Return a JSON text as its column holds it."""
    return None if text is None else text.decode()


def placed_at(new: NewJob, lane: int, moment: Moment) -> QueuedJob:
    """Return the place of a new job in its lane."""
    state = SCHEDULED if new.delay > 0 else READY
    return QueuedJob(lane, state, moment.after(new.delay))
