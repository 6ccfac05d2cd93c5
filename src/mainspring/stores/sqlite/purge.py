"""The dropping of final jobs: the oldest of each lane, with all that is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import json

from mainspring.faults import fault
from mainspring.model.job import JobState
from mainspring.stores.sql.states import NUMBERS
from mainspring.stores.sqlite.rows.bulk import text_of
from mainspring.stores.sqlite.rows.lanes import HIGHEST

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from mainspring.stores.clock import Moment

OLD = """
SELECT group_concat(key) FROM (
  SELECT finished.key FROM mainspring_lanes AS lanes
  CROSS JOIN mainspring_finished AS finished INDEXED BY mainspring_finished_by_end
    ON finished.lane = lanes.lane AND finished.state = ? AND finished.ended_at <= ?
  LIMIT ?
)
"""

KEPT_LONG_ENOUGH = """
SELECT group_concat(key) FROM (
  SELECT key FROM mainspring_finished INDEXED BY mainspring_exceptions
  WHERE state = 6 AND state <> 3 AND keep_until <= ? ORDER BY keep_until LIMIT ?
)
"""

SPEND = "UPDATE mainspring_spent SET key = max(key, ?)"
DROP_KEYS = tuple(
    f"DELETE FROM mainspring_{table} WHERE key IN (SELECT value FROM json_each(?))"  # noqa: S608  # ours
    for table in ("finished", "attempts", "progress", "log", "tags")
)
DROP_NODES = "DELETE FROM mainspring_nodes WHERE ended_at <= ?"
DROP_ANSWERS = """
DELETE FROM mainspring_idempotency WHERE idempotency_key IN (
  SELECT idempotency_key FROM mainspring_idempotency INDEXED BY mainspring_idempotency_by_end
  WHERE until <= ? LIMIT ?
)
"""

MOST_ANSWERS = 2_000
"""Idempotency keys that a purge drops at most, so that it holds up nobody."""

ANY_DUE = """
SELECT
  EXISTS (SELECT 1 FROM mainspring_nodes WHERE ended_at <= ?)
  OR EXISTS (
    SELECT 1 FROM mainspring_idempotency INDEXED BY mainspring_idempotency_by_end
    WHERE until <= ?
  )
"""

keys_text = json.Decoder(list[int])


Ages = Mapping[JobState, float]
"""The seconds after which jobs are dropped, by their state."""


def any_due(connection: sqlite3.Connection, *, ages: Ages, moment: Moment) -> bool:
    """Return whether a purge has anything to drop; only reads."""
    asked = (moment.after(-max(ages.values())), moment.micros)
    (due,) = connection.execute(ANY_DUE, asked).fetchone()
    return bool(due) or bool(due_keys(connection, ages=ages, moment=moment, limit=1))


def due_keys(
    connection: sqlite3.Connection, *, ages: Ages, moment: Moment, limit: int
) -> list[int]:
    """Return up to `limit` final jobs that are older than the age of their state."""
    keys: list[int] = []
    for state, age in ages.items():
        asked = (NUMBERS[state], moment.after(-age), limit - len(keys))
        keys += keys_text.decode(f"[{text_of(connection, OLD, asked)}]")
    kept = text_of(connection, KEPT_LONG_ENOUGH, (moment.micros, limit - len(keys)))
    return keys + keys_text.decode(f"[{kept}]")


def purge(connection: sqlite3.Connection, *, ages: Ages, moment: Moment, limit: int) -> int:
    """Drop up to `limit` final jobs that are older than the age of their state; return how many."""
    keys = due_keys(connection, ages=ages, moment=moment, limit=limit)
    drop_keys(connection, keys)
    connection.execute(DROP_NODES, (moment.after(-max(ages.values())),))
    connection.execute(DROP_ANSWERS, (moment.micros, MOST_ANSWERS))
    fault("during_purge")
    return len(keys)


def drop_keys(connection: sqlite3.Connection, keys: Sequence[int]) -> None:
    """Drop final jobs with all that is known of them."""
    if not keys:
        return
    # Not one that somebody else wrote: keys are counted up to here (see `NEXT_KEY`).
    connection.execute(SPEND, (max([key for key in keys if key < HIGHEST], default=0),))
    dropped = json.encode(keys).decode()
    for statement in DROP_KEYS:
        connection.execute(statement, (dropped,))
