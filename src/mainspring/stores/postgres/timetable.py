"""Schedules in their table, and the compare-and-set that gives each moment one tick."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.faults import fault
from mainspring.model.job_options import options_text
from mainspring.model.timetable import NewSchedule, Timetabled, encode_rule
from mainspring.stores.clock import as_datetime, as_micros
from mainspring.stores.postgres.enqueue import JobBatch, batch_of, draw, enqueue_into
from mainspring.stores.rules.schedules import last_tick_of
from mainspring.stores.sql.records import schedule_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mainspring.model.job import NewJob
    from mainspring.stores.postgres.connections.statements import ServerMoment, Statements
    from mainspring.stores.sql.lanes import Name

DECLARE = """
INSERT INTO schedules (
  name, rule, task, queue, payload, priority, catch_up, unique_key, expires, added,
  options, anchor, last_tick
)
VALUES (
  %(name)s, %(rule)s, %(task)s, %(queue)s, %(payload)s, %(priority)s, %(catch_up)s, %(unique)s,
  %(expires)s, %(added)s, %(options)s, %(anchor)s, %(last)s
)
ON CONFLICT (name) DO UPDATE SET
  rule = excluded.rule, task = excluded.task, queue = excluded.queue, payload = excluded.payload,
  priority = excluded.priority, catch_up = excluded.catch_up, unique_key = excluded.unique_key,
  expires = excluded.expires, added = excluded.added,
  options = excluded.options, last_tick = excluded.last_tick
"""

NOW = "SELECT {now}"
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('mainspring schedule ' || %(name)s, 0))"

SCHEDULES = """
SELECT
  name, rule, task, queue, payload, priority, catch_up, unique_key, expires, added,
  options, anchor, last_tick, paused
FROM schedules {wanted}
"""
# Of workers that start together, one at a time declares.
BY_NAMES = SCHEDULES.replace("{wanted}", "WHERE name = ANY (%(names)s) ORDER BY name FOR UPDATE")

# The time comes with them, once where there are none: an idle worker asks this every few seconds.
ALL = """
SELECT
  moment, name, rule, task, queue, payload, priority, catch_up, unique_key, expires, added,
  options, anchor, last_tick, paused
FROM (SELECT {now} AS moment) AS server LEFT JOIN schedules ON true ORDER BY name
"""

ADVANCE = """
UPDATE schedules SET last_tick = %(to)s
WHERE name = %(name)s AND last_tick = %(last)s AND NOT paused AND %(to)s > last_tick
"""

PAUSE = "UPDATE schedules SET paused = true WHERE name = %(name)s AND NOT paused"
RESUME = """
UPDATE schedules SET paused = false, last_tick = greatest(last_tick, {now})
WHERE name = %(name)s AND paused
"""
FORGET = "DELETE FROM schedules WHERE name = %(name)s"


def declare(connection: Statements, schedules: Sequence[NewSchedule], moment: ServerMoment) -> None:
    """Keep schedules by name."""
    now = now_of(connection, moment)
    rows = connection.rows(BY_NAMES, {"names": [new.name for new in schedules]})
    known = {row[0]: schedule_of(row) for row in rows}
    for new in sorted(schedules, key=lambda one: one.name):
        last = last_tick_of(new, known.get(new.name), as_datetime(now))
        row = {"name": new.name, "rule": encode_rule(new.rule).decode(), "task": new.task}
        row |= {"queue": new.queue, "payload": new.payload.decode(), "catch_up": new.catch_up}
        numbers = {"priority": new.priority, "expires": new.expires, "unique": new.unique}
        own = {"added": new.added, "options": options_text(new.options)}
        ticks = {"anchor": now, "last": as_micros(last)}
        connection.execute(DECLARE, {**row, **numbers, **own, **ticks})


def swap_schedule(
    connection: Statements,
    new: NewSchedule,
    *,
    expected: NewSchedule | None,
    moment: ServerMoment,
) -> bool:
    """Keep a schedule if what is there under its name is as expected."""
    # Of two who add one name, the second waits here for the first.
    connection.execute(LOCK, {"name": new.name})
    rows = connection.rows(BY_NAMES, {"names": [new.name]})
    if (schedule_of(rows[0]).new if rows else None) != expected:
        return False
    declare(connection, [new], moment)
    return True


def now_of(connection: Statements, moment: ServerMoment) -> int:
    """Return the store's time."""
    return int(connection.rows(NOW, {"now": moment.micros})[0][0])


def schedules(connection: Statements, moment: ServerMoment) -> Timetabled:
    """Return all schedules by name, with the store's own time."""
    rows = connection.rows(ALL, {"now": moment.micros})
    kept = [schedule_of(row[1:]) for row in rows if row[1] is not None]
    return Timetabled(as_datetime(rows[0][0]), kept)


def tick(  # noqa: PLR0913  # the verb's signature
    connection: Statements,
    name: str,
    *,
    last: datetime,
    to: datetime,
    jobs: Sequence[NewJob],
    lanes: Mapping[Name, int],
    moment: ServerMoment,
) -> tuple[list[str], bool] | None:
    """Move a last tick and enqueue jobs; return their ids, and whether to notify."""
    asked = {"name": name, "last": as_micros(last), "to": as_micros(to)}
    if connection.execute(ADVANCE, asked).rowcount == 0:
        return None
    batch = batch_of(jobs, draw(connection, len(jobs))) if jobs else JobBatch((), [], [])
    ids = enqueue_into(connection, batch, lanes, moment)
    fault("during_tick")
    return ids, True


def pause_schedule(connection: Statements, name: str) -> bool:
    """Pause a schedule; False if it is unknown or paused already."""
    return connection.execute(PAUSE, {"name": name}).rowcount == 1


def resume_schedule(connection: Statements, name: str, moment: ServerMoment) -> bool:
    """Resume a schedule, from now on; False if it is unknown or not paused."""
    return connection.execute(RESUME, {"name": name, "now": moment.micros}).rowcount == 1


def forget_schedule(connection: Statements, name: str) -> bool:
    """Drop a schedule; False if it is unknown."""
    return connection.execute(FORGET, {"name": name}).rowcount == 1
