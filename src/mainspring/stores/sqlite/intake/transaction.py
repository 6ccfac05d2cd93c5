"""A batch of any jobs in a transaction that is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.stores.rules.enqueue import is_keyed
from mainspring.stores.sqlite.intake.keyed_jobs import Kept, Placed, keep_keyed
from mainspring.stores.sqlite.intake.plain_jobs import insert, rows_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from mainspring.model.job import NewJob
    from mainspring.stores.clock import Moment
    from mainspring.stores.sql.lanes import Name


def enqueue_into(
    connection: sqlite3.Connection,
    jobs: Sequence[NewJob],
    lanes: Mapping[Name, int],
    moment: Moment,
) -> Kept:
    """Keep jobs in a transaction that is open. Raises `DuplicateJob`: then the caller undoes it."""
    if is_keyed(jobs):
        return keep_keyed(connection, jobs, lanes, moment)
    rows = rows_of(jobs, lanes, moment)
    placed = [Placed(lane=row[1], state=row[2], run_at=row[4]) for row in rows]
    return Kept(insert(connection, rows), placed)
