"""Schedules in their table, and the compare-and-set that gives each moment one tick."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.job_options import options_text
from mainspring.model.timetable import NewSchedule, Timetabled, encode_rule
from mainspring.stores.clock import as_datetime, as_micros
from mainspring.stores.rules.columns import EARLIEST, LATEST
from mainspring.stores.rules.schedules import last_tick_of
from mainspring.stores.sql.records import schedule_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from datetime import datetime

    from mainspring.stores.clock import Moment

DECLARE = """
INSERT INTO mainspring_schedules (
  name, rule, task, queue, payload, priority, catch_up, unique_key, expires, added,
  options, anchor, last_tick
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET
  rule = excluded.rule, task = excluded.task, queue = excluded.queue, payload = excluded.payload,
  priority = excluded.priority, catch_up = excluded.catch_up,
  unique_key = excluded.unique_key, expires = excluded.expires, added = excluded.added,
  options = excluded.options, last_tick = excluded.last_tick,
  anchor = iif(
    typeof(anchor) = 'integer' AND anchor BETWEEN {earliest} AND {latest}, anchor, excluded.anchor
  )
""".replace("{earliest}", str(EARLIEST)).replace("{latest}", str(LATEST))

SCHEDULES = """
SELECT
  name, rule, task, queue, payload, priority, catch_up, unique_key, expires, added,
  options, anchor, last_tick, paused
FROM mainspring_schedules {wanted}
"""
ALL = SCHEDULES.replace("{wanted}", "ORDER BY name")
BY_NAME = SCHEDULES.replace("{wanted}", "WHERE name = ?")

ADVANCE = """
UPDATE mainspring_schedules SET last_tick = :to
WHERE name = :name AND last_tick = :last AND paused = 0 AND :to > last_tick
"""

PAUSE = "UPDATE mainspring_schedules SET paused = 1 WHERE name = ? AND paused = 0"
RESUME = """
UPDATE mainspring_schedules SET paused = 0, last_tick = max(CAST(last_tick AS INTEGER), ?)
WHERE name = ? AND paused <> 0
"""
FORGET = "DELETE FROM mainspring_schedules WHERE name = ?"


def declare(
    connection: sqlite3.Connection, schedules: Sequence[NewSchedule], moment: Moment
) -> None:
    """Keep schedules by name."""
    now = as_datetime(moment.micros)
    for new in schedules:
        row = connection.execute(BY_NAME, (new.name,)).fetchone()
        last = last_tick_of(new, None if row is None else schedule_of(row), now)
        job = (new.task, new.queue, new.payload.decode(), new.priority)
        terms = (new.catch_up, new.unique, new.expires, new.added, options_text(new.options))
        rule = encode_rule(new.rule).decode()
        ticks = (moment.micros, as_micros(last))
        connection.execute(DECLARE, (new.name, rule, *job, *terms, *ticks))


def swap_schedule(
    connection: sqlite3.Connection,
    new: NewSchedule,
    *,
    expected: NewSchedule | None,
    moment: Moment,
) -> bool:
    """Keep a schedule if what is there under its name is as expected."""
    row = connection.execute(BY_NAME, (new.name,)).fetchone()
    if (None if row is None else schedule_of(row).new) != expected:
        return False
    declare(connection, [new], moment)
    return True


def advance(connection: sqlite3.Connection, name: str, last: datetime, to: datetime) -> bool:
    """Move a last tick on; False if it is not `last`, or if the schedule does not tick."""
    parameters = {"name": name, "last": as_micros(last), "to": as_micros(to)}
    return connection.execute(ADVANCE, parameters).rowcount == 1


def schedules(connection: sqlite3.Connection, moment: Moment) -> Timetabled:
    """Return all schedules by name."""
    records = [schedule_of(row) for row in connection.execute(ALL).fetchall()]
    return Timetabled(as_datetime(moment.micros), records)


def pause_schedule(connection: sqlite3.Connection, name: str) -> bool:
    """Pause a schedule; False if it is unknown or paused already."""
    return connection.execute(PAUSE, (name,)).rowcount == 1


def resume_schedule(connection: sqlite3.Connection, name: str, moment: Moment) -> bool:
    """Resume a schedule, from now on; False if it is unknown or not paused."""
    return connection.execute(RESUME, (moment.micros, name)).rowcount == 1


def forget_schedule(connection: sqlite3.Connection, name: str) -> bool:
    """Drop a schedule; False if it is unknown."""
    return connection.execute(FORGET, (name,)).rowcount == 1
