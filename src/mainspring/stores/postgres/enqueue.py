"""New jobs: many in one statement; those with keys as `stores/rules/enqueue.py` plans them.

Their keys are drawn before the transaction begins. So a call whose answer was lost can be done
again, and finds its jobs in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from msgspec import Struct, json

from mainspring.model.job import NewJob  # the type of a Struct's field
from mainspring.model.job_options import tags_in
from mainspring.stores.job_id import format_id, new_nonce, parse_id
from mainspring.stores.postgres.connections.statements import micros
from mainspring.stores.postgres.connections.trouble import KeysTaken, Raced
from mainspring.stores.rules.columns import LATEST
from mainspring.stores.rules.enqueue import (
    IDEMPOTENT_SECONDS,
    EnqueuePlan,
    idempotency_keys,
    is_keyed,
    plan_enqueue,
    unique_keys,
)
from mainspring.stores.sql.states import RUNNING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainspring.stores.postgres.connections.statements import ServerMoment, Statements
    from mainspring.stores.sql.lanes import Name

MOST_ROWS = 5_000
"""Jobs of one statement."""

LONGEST_KEY = 600
"""Characters of a key that an index takes in any alphabet; a longer one ends in its hash."""

KEYS = "SELECT nextval('{schema}.job_keys') FROM generate_series(1, %(count)s)"

ENQUEUE = """
INSERT INTO jobs (
  key, nonce, lane, state, priority, run_at, created_at, payload, unique_key, expires_at,
  options
)
SELECT key, nonce, lane, CASE WHEN delayed THEN 1 ELSE 0 END, priority, {now} + delay, {now},
  payload, unique_key, {now} + expires, options
FROM json_to_recordset(%(jobs)s::json) AS given (
  key bigint, nonce bigint, lane int, priority bigint, delayed boolean, delay bigint, payload text,
  unique_key text, expires bigint, options text
)
"""
ENQUEUE_AGAIN = ENQUEUE + "ON CONFLICT DO NOTHING"
ENQUEUE_KEYED = ENQUEUE + "ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL DO NOTHING"

# Done again: what had come through and has ended meanwhile must not be there twice.
REPEAT = """
DELETE FROM jobs USING finished
WHERE jobs.key = finished.key AND jobs.nonce = finished.nonce AND jobs.key = ANY (%(keys)s)
"""

IS_KEPT = """
SELECT FROM jobs WHERE key = %(key)s AND nonce = %(nonce)s
UNION ALL SELECT FROM finished WHERE key = %(key)s AND nonce = %(nonce)s
"""

# Under the key of each there is a job: another's, where the sequence was behind.
OTHERS = """
SELECT FROM unnest(%(keys)s::bigint[], %(nonces)s::bigint[]) AS given (key, nonce)
WHERE NOT EXISTS (
  SELECT FROM jobs WHERE jobs.key = given.key AND jobs.nonce = given.nonce
  UNION ALL SELECT FROM finished WHERE finished.key = given.key AND finished.nonce = given.nonce
) LIMIT 1
"""

# One that would never end was written by somebody else.
ANSWERED = """
SELECT idempotency_key, key, nonce FROM idempotency
WHERE idempotency_key = ANY (%(keys)s) AND until > {now} AND until <= {latest}
""".replace("{latest}", str(LATEST))

REMEMBER = """
INSERT INTO idempotency (idempotency_key, key, nonce, until)
SELECT name, key, nonce, {now} + %(lasts)s
FROM unnest(%(names)s::text[], %(keys)s::bigint[], %(nonces)s::bigint[]) AS given (name, key, nonce)
ON CONFLICT (idempotency_key) DO UPDATE
SET key = excluded.key, nonce = excluded.nonce, until = excluded.until
WHERE idempotency.until <= {now} OR idempotency.until > {latest}
""".replace("{latest}", str(LATEST))

BEARERS = """
SELECT unique_key, key, nonce, lane, state FROM jobs WHERE unique_key = ANY (%(keys)s)
ORDER BY key FOR UPDATE
"""

REPLACE = """
UPDATE jobs SET state = CASE WHEN %(delayed)s THEN 1 ELSE 0 END, priority = %(priority)s,
  run_at = {now} + %(delay)s, payload = %(payload)s, expires_at = {now} + %(expires)s::bigint,
  options = %(options)s::text
WHERE key = %(key)s AND state <> 2
"""


KEEP_TAGS = """
INSERT INTO tags (tag, key) SELECT * FROM unnest(%(tags)s::text[], %(keys)s::bigint[])
ON CONFLICT DO NOTHING
"""
FORGET_TAGS = "DELETE FROM tags WHERE key = %(key)s"


class KeyBearer(Struct, frozen=True, gc=False):
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


class JobBatch(Struct):
    """The jobs of one call, with a key and a nonce for each. `answer` is what a first try said."""

    jobs: Sequence[NewJob]
    keys: list[int]
    nonces: list[int]
    answer: list[str] | None = None

    @property
    def ids(self) -> list[str]:
        """The public ids."""
        return [format_id(key, nonce) for key, nonce in zip(self.keys, self.nonces, strict=True)]


def batch_of(jobs: Sequence[NewJob], keys: list[int]) -> JobBatch:
    """Return the batch of jobs that are given these keys."""
    return JobBatch(jobs, keys, [new_nonce() for _ in jobs])


def draw(connection: Statements, count: int) -> list[int]:
    """Return so many keys for new jobs."""
    return [key for (key,) in connection.rows(KEYS, {"count": count})]


def enqueue_into(
    connection: Statements, batch: JobBatch, lanes: Mapping[Name, int], moment: ServerMoment
) -> list[str]:
    """Keep a batch in a transaction that is open, or find that it was; return the ids.

    Raises `DuplicateJob`, and `Raced`: then the caller rolls back.
    """
    if not is_keyed(batch.jobs):
        insert(connection, batch, lanes, moment)
        return batch.ids
    if batch.answer is not None and was_kept(connection, batch):
        return batch.answer
    return keep_keyed(connection, batch, lanes, moment)


def was_kept(connection: Statements, batch: JobBatch) -> bool:
    """Return whether an earlier try has committed the batch."""
    return bool(connection.rows(IS_KEPT, {"key": batch.keys[0], "nonce": batch.nonces[0]}))


def insert(
    connection: Statements,
    batch: JobBatch,
    lanes: Mapping[Name, int],
    moment: ServerMoment,
    statement: str = ENQUEUE,
) -> int:
    """Insert jobs; return how many, since other statements leave out what is there."""
    inserted = 0
    for start in range(0, len(batch.jobs), MOST_ROWS):
        some = slice(start, start + MOST_ROWS)
        rows = [
            JobRow(
                key=key,
                nonce=nonce,
                lane=lanes[job.queue, job.task],
                priority=job.priority,
                delayed=job.delay > 0,
                delay=micros(job.delay),
                payload=job.payload.decode(),
                unique_key=indexed(job.unique),
                expires=expiry(job),
                options=None if job.options is None else job.options.decode(),
            )
            for job, key, nonce in zip(
                batch.jobs[some], batch.keys[some], batch.nonces[some], strict=True
            )
        ]
        asked = {"now": moment.micros, "jobs": json.encode(rows).decode()}
        inserted += connection.changed(statement, asked)
    return inserted


def insert_again(
    connection: Statements, batch: JobBatch, lanes: Mapping[Name, int], moment: ServerMoment
) -> None:
    """Insert plain jobs unless an earlier try has. Raises `KeysTaken`: the caller rolls back."""
    if insert(connection, batch, lanes, moment, ENQUEUE_AGAIN) < len(batch.jobs):
        asked = {"keys": batch.keys, "nonces": batch.nonces}
        if connection.execute(OTHERS, asked).rowcount:
            raise KeysTaken
    connection.execute(REPEAT, {"keys": batch.keys})


class JobRow(Struct, frozen=True, gc=False, omit_defaults=True):
    """A new job as its statement takes it: one text of JSON, which costs less than arrays."""

    key: int
    nonce: int
    lane: int
    priority: int
    delayed: bool
    delay: int
    payload: str
    unique_key: str | None = None
    expires: int | None = None
    options: str | None = None


def keep_keyed(
    connection: Statements, batch: JobBatch, lanes: Mapping[Name, int], moment: ServerMoment
) -> list[str]:
    """Keep jobs that bear keys, or have an expiry."""
    bearers = bearers_of(connection, unique_keys(batch.jobs))
    known = answered(connection, idempotency_keys(batch.jobs), moment)
    plan = plan_enqueue(batch.jobs, known, bearers)
    for unique, new in plan.replaced.items():
        replace(connection, bearers[unique].key, new, moment)
    count = len(plan.inserted)
    inserted = JobBatch(plan.inserted, batch.keys[:count], batch.nonces[:count])
    if insert(connection, inserted, lanes, moment, ENQUEUE_KEYED) < count:
        raise Raced
    keep_tags(connection, dict(zip(inserted.keys, plan.inserted, strict=True)))
    remember(connection, plan, inserted.ids, moment)
    batch.answer = plan.ids(inserted.ids) if count else None
    return plan.ids(inserted.ids)


def bearers_of(connection: Statements, unique: Sequence[str]) -> dict[str, KeyBearer]:
    """Return the live jobs that bear unique keys, which stay as they are until the commit."""
    if not unique:
        return {}
    names = {indexed(name): name for name in unique}
    rows = connection.rows(BEARERS, {"keys": list(names)})
    return {names[name]: KeyBearer(*row) for name, *row in rows}


def answered(
    connection: Statements, idempotency: Sequence[str], moment: ServerMoment
) -> dict[str, str]:
    """Return the ids that idempotency keys stand for."""
    if not idempotency:
        return {}
    names = {indexed(name): name for name in idempotency}
    rows = connection.rows(ANSWERED, {"keys": list(names), "now": moment.micros})
    return {names[name]: format_id(key, nonce) for name, key, nonce in rows}


def replace(connection: Statements, key: int, new: NewJob, moment: ServerMoment) -> None:
    """Give a live job that waits what a later one says."""
    row = {"delayed": new.delay > 0, "delay": micros(new.delay), "expires": expiry(new)}
    row |= {"key": key, "priority": new.priority, "now": moment.micros}
    row["options"] = None if new.options is None else new.options.decode()  # type: ignore[assignment]  # a text
    connection.execute(REPLACE, {**row, "payload": new.payload.decode()})
    connection.execute(FORGET_TAGS, {"key": key})
    keep_tags(connection, {key: new})


def keep_tags(connection: Statements, jobs: Mapping[int, NewJob]) -> None:
    """Have jobs be found by their tags; few have any."""
    rows = [(tag, key) for key, new in jobs.items() for tag in tags_in(new.options)]
    if rows:
        asked = {"tags": [tag for tag, _ in rows], "keys": [key for _, key in rows]}
        connection.execute(KEEP_TAGS, asked)


def remember(
    connection: Statements, plan: EnqueuePlan, ids: Sequence[str], moment: ServerMoment
) -> None:
    """Have idempotency keys stand for ids."""
    memories = sorted(plan.memories(ids).items())
    if not memories:
        return
    parsed = [parse_id(job_id) or (0, 0) for _, job_id in memories]
    row = {
        "names": [indexed(name) for name, _ in memories],
        "keys": [key for key, _ in parsed],
        "nonces": [nonce for _, nonce in parsed],
        "lasts": micros(IDEMPOTENT_SECONDS),
        "now": moment.micros,
    }
    if connection.changed(REMEMBER, row) < len(memories):
        raise Raced


def expiry(new: NewJob) -> int | None:
    """Return the stored time for which a job may start."""
    return None if new.expires is None else micros(new.expires)


def indexed(key: str | None) -> str | None:
    """Return a key as an index takes it."""
    if key is None or len(key) <= LONGEST_KEY:
        return key
    return key[:LONGEST_KEY] + blake2b(key.encode(), digest_size=32).hexdigest()
