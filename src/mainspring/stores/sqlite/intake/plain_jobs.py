"""Plain jobs: many rows in one statement, one in a statement of its own."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from mainspring.stores.clock import MICROS
from mainspring.stores.job_id import format_id, new_nonce
from mainspring.stores.sql.states import READY, SCHEDULED
from mainspring.stores.sqlite.rows.bulk import in_chunks, with_rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from mainspring.model.job import NewJob
    from mainspring.stores.sql.lanes import Name

NEXT_KEY = """
  1 + max(
    coalesce((SELECT key FROM mainspring_spent WHERE key < 4611686018427387904), 0),
    coalesce((SELECT max(key) FROM mainspring_jobs WHERE key < 4611686018427387904), 0),
    coalesce((SELECT max(key) FROM mainspring_finished WHERE key < 4611686018427387904), 0)
  )
"""
"""The key of the next job, as an expression of SQL."""

COLUMNS = 8
ENQUEUE = """
INSERT INTO mainspring_jobs (key, nonce, lane, state, priority, run_at, created_at, payload)
VALUES {rows}
"""

FIRST_KEY = "SELECT " + NEXT_KEY

ENQUEUE_ONE = """
INSERT INTO mainspring_jobs (key, nonce, lane, state, priority, run_at, created_at, payload)
VALUES (
  {next_key},
  ?, ?, ?, ?, ?, ?, ?
)
""".replace("{next_key}", NEXT_KEY)

Row = tuple[int, int, int, int, int, int, str]
"""One job: nonce, lane, state, priority, run_at, created_at, payload."""


def rows_of(jobs: Sequence[NewJob], lanes: Mapping[Name, int], now: int) -> list[Row]:
    """Return the rows of ordinary jobs, `now` being stored time."""
    return [
        (
            new_nonce(),
            lanes[job.queue, job.task],
            SCHEDULED if job.delay > 0 else READY,
            job.priority,
            now + int(job.delay * MICROS) if job.delay else now,
            now,
            job.payload.decode(),
        )
        for job in jobs
    ]


def insert(connection: sqlite3.Connection, rows: list[Row]) -> list[str]:
    """Insert jobs and return their ids."""
    (first,) = connection.execute(FIRST_KEY).fetchone()
    keyed = [(key, *row) for key, row in enumerate(rows, first)]
    for chunk in in_chunks(keyed):
        values = tuple(chain.from_iterable(chunk))
        connection.execute(with_rows(ENQUEUE, COLUMNS, len(chunk)), values)
    return [format_id(row[0], row[1]) for row in keyed]


def is_ready(row: Row) -> bool:
    """Return whether a job can start at once."""
    return row[2] == READY
