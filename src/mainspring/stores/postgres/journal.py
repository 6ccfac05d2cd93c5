"""Progress and log lines of bodies, kept if their claim is the job's last one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.note import LINE_CHARACTERS, MOST_LINES, LogLine
from mainspring.stores.postgres.catalog import parameters_of
from mainspring.stores.rules.columns import Columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.note import Note
    from mainspring.stores.postgres.connections.statements import ServerMoment, Statements

FENCES = """
SELECT key, fence FROM jobs WHERE key = ANY (%(keys)s)
UNION ALL SELECT key, fence FROM finished WHERE key = ANY (%(keys)s)
"""

TELL = """
INSERT INTO progress (key, fraction, message)
SELECT * FROM unnest(%(keys)s::bigint[], %(fractions)s::float8[], %(messages)s::text[])
ON CONFLICT (key) DO UPDATE SET
  fraction = coalesce(excluded.fraction, progress.fraction),
  message = coalesce(excluded.message, progress.message)
"""

# Only the node of the claim writes a job's lines, so that none counts them at the same time.
WRITE = """
INSERT INTO log (key, number, fence, at, line)
SELECT key, place + coalesce((SELECT max(number) FROM log WHERE log.key = given.key), 0),
  fence, {now} - age, line
FROM unnest(
  %(keys)s::bigint[], %(places)s::int[], %(fences)s::bigint[], %(ages)s::bigint[], %(lines)s::text[]
) AS given (key, place, fence, age, line)
"""

TRIM = """
DELETE FROM log WHERE key = ANY (%(keys)s)
  AND number <= (SELECT max(number) FROM log AS last WHERE last.key = log.key) - %(most)s
"""

LOG = """
SELECT at, fence, line FROM log
WHERE key = %(key)s AND EXISTS (
  SELECT FROM jobs WHERE key = %(key)s AND nonce = %(nonce)s
  UNION ALL SELECT FROM finished WHERE key = %(key)s AND nonce = %(nonce)s
)
ORDER BY number
"""

NUL, SHOWN_NUL = "\x00", "\N{SYMBOL FOR NULL}"
"""No text of PostgreSQL's holds the first."""


def note_many(connection: Statements, notes: Sequence[Note], moment: ServerMoment) -> None:
    """Keep notes; drop those of other claims than the last."""
    rows = connection.rows(FENCES, {"keys": list({one.key for one in notes})})
    fences: dict[int, int] = dict(rows)
    current = sorted(
        [one for one in notes if fences.get(one.key) == one.fence], key=lambda one: one.key
    )
    keep_progress(connection, current)
    append_lines(connection, [one for one in current if one.lines], moment)


def keep_progress(connection: Statements, notes: Sequence[Note]) -> None:
    """Keep the last progress and message."""
    fractions = {one.key: one.progress for one in notes if one.progress is not None}
    messages = {one.key: text(one.message) for one in notes if one.message is not None}
    keys = sorted({*fractions, *messages})
    if keys:
        row = {"keys": keys, "fractions": [fractions.get(key) for key in keys]}
        connection.execute(TELL, {**row, "messages": [messages.get(key) for key in keys]})


def append_lines(connection: Statements, notes: Sequence[Note], moment: ServerMoment) -> None:
    """Add lines to the logs, which keep their last ones only."""
    places: dict[int, int] = {}
    rows: list[tuple[int, int, int, int, str]] = []
    for one in notes:
        for at, line in one.lines[-MOST_LINES:]:
            places[one.key] = places.get(one.key, 0) + 1
            rows.append((one.key, places[one.key], one.fence, moment.age(at), text(line)))
    if rows:
        names = ("keys", "places", "fences", "ages", "lines")
        asked = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        connection.execute(WRITE, {**asked, "now": moment.micros})
        connection.execute(TRIM, {"keys": list(places), "most": MOST_LINES})


def text(line: str) -> str:
    """Return a text that may be kept."""
    return line[:LINE_CHARACTERS].replace(NUL, SHOWN_NUL)


def log(connection: Statements, job_id: str) -> list[LogLine]:
    """Return a job's lines, oldest first."""
    rows = connection.rows(LOG, parameters_of(job_id))
    return [LogLine(Columns().moment("time", at), fence, line) for at, fence, line in rows]
