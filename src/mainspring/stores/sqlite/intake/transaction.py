"""A batch in a transaction that is open: all of it, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.errors import DuplicateJob
from mainspring.stores.sqlite.intake.keyed_jobs import Keeping, Kept, Placed, is_particular
from mainspring.stores.sqlite.intake.plain_jobs import insert, rows_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from mainspring.model.job import NewJob
    from mainspring.stores.clock import Moment
    from mainspring.stores.sqlite.rows.lanes import Name


def keep_or_refuse(
    connection: sqlite3.Connection,
    jobs: Sequence[NewJob],
    lanes: Mapping[Name, int],
    moment: Moment,
) -> Kept | DuplicateJob:
    """Keep all of a batch, or nothing of it: then return why."""
    connection.execute("SAVEPOINT batch")
    try:
        kept = Keeping(connection, lanes, moment).keep(jobs)
    except DuplicateJob as refused:
        connection.execute("ROLLBACK TO batch")
        connection.execute("RELEASE batch")
        return refused
    connection.execute("RELEASE batch")
    return kept


def enqueue_into(
    connection: sqlite3.Connection,
    jobs: Sequence[NewJob],
    lanes: Mapping[Name, int],
    moment: Moment,
) -> Kept:
    """Keep jobs in a transaction that is open. Raises `DuplicateJob`: then the caller undoes it."""
    if is_particular(jobs):
        return Keeping(connection, lanes, moment).keep(jobs)
    rows = rows_of(jobs, lanes, moment)
    placed = [Placed(lane=row[1], state=row[2], run_at=row[4]) for row in rows]
    return Kept(insert(connection, rows), placed)
