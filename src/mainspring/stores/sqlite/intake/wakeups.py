"""Wake-ups for new jobs: those that can start now, or sooner than any that a node waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.stores.sql.states import READY
from mainspring.stores.sqlite.intake.plain_jobs import is_ready

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from mainspring.stores.sqlite.intake.keyed_jobs import QueuedJob
    from mainspring.stores.sqlite.intake.plain_jobs import Row

FIRST_DUE = """
SELECT run_at FROM mainspring_jobs INDEXED BY mainspring_scheduled
WHERE state = 1 AND lane = ? ORDER BY run_at LIMIT 1
"""


def wakes_for(connection: sqlite3.Connection, placed: Sequence[QueuedJob]) -> bool:
    """Return whether jobs that stand in their lanes now are a reason to wake nodes."""
    if any(one.state == READY for one in placed):
        return True
    return any(one.run_at <= first_due(connection, one.lane, one.run_at) for one in placed)


def wakes_sleepers(connection: sqlite3.Connection, rows: list[Row]) -> bool:
    """Return whether rows that are not inserted yet are a reason to wake nodes."""
    if any(is_ready(row) for row in rows):
        return True
    firsts: dict[int, int] = {}
    for _, lane, _, _, run_at, *_ in rows:
        firsts[lane] = min(run_at, firsts.get(lane, run_at))
    return any(run_at < first_due(connection, lane, run_at) for lane, run_at in firsts.items())


def first_due(connection: sqlite3.Connection, lane: int, run_at: int) -> int:
    """Return when the lane's first delayed job is due; just after `run_at` if it has none."""
    first = connection.execute(FIRST_DUE, (lane,)).fetchone()
    return run_at + 1 if first is None else int(first[0])
