"""How jobs come in that not every job may: those with a unique key, an idempotency key, an expiry.

One after the other in one transaction, so that jobs of one batch meet each other. Ordinary jobs
take the short way of `ordinary`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from mainspring.errors import DuplicateJob
from mainspring.model.unique import words_of
from mainspring.stores.job_id import format_id, new_nonce
from mainspring.stores.sqlite.rows.numbers import NEXT_KEY
from mainspring.stores.sqlite.rows.states import READY, RUNNING, SCHEDULED

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from mainspring.model.job import NewJob
    from mainspring.stores.clock import Moment
    from mainspring.stores.sqlite.rows.lanes import Name

IDEMPOTENT_SECONDS = 86_400.0
"""So long an idempotency key holds."""

ANSWER = """
SELECT CAST(key AS INTEGER), CAST(nonce AS INTEGER) FROM idempotency
WHERE idempotency_key = ? AND until > ?
"""

REMEMBER = """
INSERT INTO idempotency (idempotency_key, key, nonce, until) VALUES (?, ?, ?, ?)
ON CONFLICT (idempotency_key) DO UPDATE
SET key = excluded.key, nonce = excluded.nonce, until = excluded.until
"""

BEARER = """
SELECT key, CAST(nonce AS INTEGER), lane, state FROM jobs
WHERE unique_key = ? AND unique_key IS NOT NULL
"""

ENQUEUE_PARTICULAR = """
INSERT INTO jobs (
  key, nonce, lane, state, priority, run_at, created_at, payload, unique_key, expires_at
)
SELECT
  {next_key},
  ?, ?, ?, ?, ?, ?, ?, ?, ?
""".replace("{next_key}", NEXT_KEY)

REPLACE = """
UPDATE jobs SET state = ?, priority = ?, run_at = ?, payload = ?, expires_at = ?
WHERE key = ? AND state <> 2
"""


class Bearer(Struct, frozen=True, gc=False):
    """The live job that bears a unique key."""

    key: int
    nonce: int
    lane: int
    state: int

    @property
    def id(self) -> str:
        """Its public id."""
        return format_id(self.key, self.nonce)


class Placed(Struct, frozen=True, gc=False):
    """A job that stands in a lane now, ready or from `run_at` on."""

    lane: int
    state: int
    run_at: int


class Kept(Struct):
    """What became of a batch: an id for each job, what stands in the lanes now, a job it made."""

    ids: list[str]
    placed: list[Placed]
    made: str | None = None


def is_particular(jobs: Iterable[NewJob]) -> bool:
    """Whether any of the jobs has to take the long way."""
    for job in jobs:  # each enqueuing asks this, and `any` costs twice as much
        if job.unique is not None or job.idempotency_key is not None or job.expires is not None:
            return True
    return False


class Keeping:
    """One batch on its way in."""

    def __init__(
        self, connection: sqlite3.Connection, lanes: Mapping[Name, int], moment: Moment
    ) -> None:
        self._connection = connection
        self._lanes = lanes
        self._moment = moment
        self._made: set[int] = set()
        self.kept = Kept([], [])

    def keep(self, jobs: Sequence[NewJob]) -> Kept:
        """Keep jobs one after the other. Raises `DuplicateJob`: then the caller undoes all."""
        for new in jobs:
            self.kept.ids.append(self._answer(new) or self._keep(new))
        return self.kept

    def _answer(self, new: NewJob) -> str | None:
        """Return the id that the idempotency key stands for."""
        if new.idempotency_key is None:
            return None
        asked = (new.idempotency_key, self._moment.micros)
        row = self._connection.execute(ANSWER, asked).fetchone()
        return None if row is None else format_id(*row)

    def _keep(self, new: NewJob) -> str:
        bearer = None if new.unique is None else self._bearer(new.unique)
        if bearer is None:
            key, nonce = self._insert(new)
        else:
            self._meet(new, bearer)
            key, nonce = bearer.key, bearer.nonce
        if new.idempotency_key is not None:
            until = self._moment.after(IDEMPOTENT_SECONDS)
            self._connection.execute(REMEMBER, (new.idempotency_key, key, nonce, until))
        return format_id(key, nonce)

    def _bearer(self, unique: str) -> Bearer | None:
        row = self._connection.execute(BEARER, (unique,)).fetchone()
        return None if row is None else Bearer(*row)

    def _meet(self, new: NewJob, bearer: Bearer) -> None:
        """Do with a live job of the same unique key what the new one says."""
        if new.on_conflict == "return_existing":
            return
        job_id = None if bearer.key in self._made else bearer.id
        if new.on_conflict == "raise":
            raise DuplicateJob(words_of(new.unique or ""), job_id, "already")
        if bearer.state == RUNNING:
            why = "and runs, so it can't be replaced"
            raise DuplicateJob(words_of(new.unique or ""), job_id, why)
        placed, expires_at = self._place(new, bearer.lane)
        self._connection.execute(
            REPLACE,
            (
                placed.state,
                new.priority,
                placed.run_at,
                new.payload.decode(),
                expires_at,
                bearer.key,
            ),
        )
        self.kept.placed.append(placed)

    def _insert(self, new: NewJob) -> tuple[int, int]:
        placed, expires_at = self._place(new, self._lanes[new.queue, new.task])
        nonce = new_nonce()
        row = (
            nonce,
            placed.lane,
            placed.state,
            new.priority,
            placed.run_at,
            self._moment.micros,
            new.payload.decode(),
            new.unique,
            expires_at,
        )
        key = self._connection.execute(ENQUEUE_PARTICULAR, row).lastrowid or 0
        self._made.add(key)
        self.kept.made = format_id(key, nonce)
        self.kept.placed.append(placed)
        return key, nonce

    def _place(self, new: NewJob, lane: int) -> tuple[Placed, int | None]:
        state = SCHEDULED if new.delay > 0 else READY
        expires_at = None if new.expires is None else self._moment.after(new.expires)
        return Placed(lane, state, self._moment.after(new.delay)), expires_at
