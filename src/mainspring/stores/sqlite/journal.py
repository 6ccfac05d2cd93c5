"""Progress and log lines of bodies, kept if their claim is the job's last one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import json

from mainspring.model.note import LINE_CHARACTERS, MOST_LINES, LogLine
from mainspring.stores.rules.columns import Columns, text_in
from mainspring.stores.sqlite.catalog.records import parameters_of
from mainspring.stores.sqlite.rows.bulk import in_chunks, text_of, with_rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from mainspring.model.note import Note
    from mainspring.stores.clock import Moment

FENCES = """
SELECT group_concat(printf('[%d,%d]', key, fence)) FROM (
  SELECT jobs.key, fence FROM json_each(:asked) AS asked
  CROSS JOIN mainspring_jobs AS jobs ON jobs.key = asked.value
  UNION ALL
  SELECT finished.key, fence FROM json_each(:asked) AS asked
  CROSS JOIN mainspring_finished AS finished ON finished.key = asked.value
)
"""

LAST_NUMBERS = """
SELECT group_concat(printf('[%d,%d]', value, last)) FROM (
  SELECT value, (SELECT max(number) FROM mainspring_log AS log WHERE log.key = asked.value) AS last
  FROM json_each(:asked) AS asked
)
WHERE last IS NOT NULL
"""

# Rows, not JSON text: SQLite's JSON functions cut a text at a NUL.
PROGRESS_COLUMNS = 3
TELL = """
INSERT INTO mainspring_progress (key, fraction, message) VALUES {rows}
ON CONFLICT (key) DO UPDATE SET
  fraction = coalesce(excluded.fraction, fraction), message = coalesce(excluded.message, message)
"""

LINE_COLUMNS = 5
WRITE = "INSERT INTO mainspring_log (key, number, fence, at, line) VALUES {rows}"

TRIM = "DELETE FROM mainspring_log WHERE key = ? AND number <= ?"

LOG = """
SELECT at, log.fence, line FROM mainspring_log AS log
WHERE log.key = :key AND EXISTS (
  SELECT 1 FROM mainspring_jobs WHERE key = :key AND CAST(nonce AS INTEGER) = :nonce
  UNION ALL SELECT 1 FROM mainspring_finished WHERE key = :key AND CAST(nonce AS INTEGER) = :nonce
)
ORDER BY number
"""

pairs = json.Decoder(list[tuple[int, int]])


def note_many(connection: sqlite3.Connection, notes: Sequence[Note], moment: Moment) -> None:
    """Keep notes; drop those of other claims than the last."""
    fences = by_key(connection, FENCES, {one.key for one in notes})
    current = [one for one in notes if fences.get(one.key) == one.fence]
    keep_progress(connection, current)
    append_lines(connection, [one for one in current if one.lines], moment)


def by_key(connection: sqlite3.Connection, statement: str, keys: Iterable[int]) -> dict[int, int]:
    """Return what the statement tells of each key."""
    asked = json.encode(list(keys)).decode()
    return dict(pairs.decode(f"[{text_of(connection, statement, {'asked': asked})}]"))


def keep_progress(connection: sqlite3.Connection, notes: Sequence[Note]) -> None:
    """Keep the last progress and message."""
    last: dict[int, tuple[float | None, str | None]] = {}
    for one in notes:
        progress, message = last.get(one.key, (None, None))
        if one.progress is not None:
            progress = one.progress
        if one.message is not None:
            message = one.message[:LINE_CHARACTERS]
        if (progress, message) != (None, None):
            last[one.key] = progress, message
    for chunk in in_chunks([(key, *said) for key, said in last.items()]):
        flat = [value for row in chunk for value in row]
        connection.execute(with_rows(TELL, PROGRESS_COLUMNS, len(chunk)), flat)


def append_lines(connection: sqlite3.Connection, notes: Sequence[Note], moment: Moment) -> None:
    """Add lines to the logs, which keep their last ones only."""
    if not notes:
        return
    numbers = by_key(connection, LAST_NUMBERS, {one.key for one in notes})
    rows: list[tuple[int, int, int, int, str]] = []
    for one in notes:
        for at, text in one.lines[-MOST_LINES:]:
            number = numbers[one.key] = numbers.get(one.key, 0) + 1
            rows.append((one.key, number, one.fence, moment.at(at), text[:LINE_CHARACTERS]))
    for chunk in in_chunks(rows):
        flat = [value for row in chunk for value in row]
        connection.execute(with_rows(WRITE, LINE_COLUMNS, len(chunk)), flat)
    for key, number in numbers.items():
        if number > MOST_LINES:
            connection.execute(TRIM, (key, number - MOST_LINES))


def log(connection: sqlite3.Connection, job_id: str) -> list[LogLine]:
    """Return a job's lines, oldest first."""
    rows = connection.execute(LOG, parameters_of(job_id)).fetchall()
    return [line_of(*row) for row in rows]


def line_of(at: object, fence: object, line: object) -> LogLine:
    """Return the line of a row of `LOG`; what can't be read of it says so at its end."""
    read = Columns()
    moment, number = read.moment("time", at), read.integer("number", fence)
    return LogLine(moment, number, " ".join(filter(None, (text_in(line), read.remark()))))
