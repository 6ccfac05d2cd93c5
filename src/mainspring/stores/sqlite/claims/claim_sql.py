"""The statements of a claim: the most urgent jobs of some lanes become running."""

from __future__ import annotations

import sqlite3
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Raw, json

from mainspring.model.crash import SUSPECT_CRASHES
from mainspring.model.job import Claim
from mainspring.stores.clock import MICROS
from mainspring.stores.job_id import format_id
from mainspring.stores.rules.columns import UNREADABLE
from mainspring.stores.sqlite.rows.bulk import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.job import Want
    from mainspring.stores.clock import Moment
    from mainspring.stores.sql.lanes import KnownLanes

MOST_LANES = 400
"""Lanes of one statement: SQLite joins at most 500 selects."""

MOST_CLAIMS = 512
"""Jobs of one statement: SQLite makes no text above 1,000,000,000 bytes of their payloads. Those of
the usual limit stay below; of longer ones each is a row of its own."""

MOST_PROMOTED = 1_000
"""Delayed jobs that become ready at a time, of all lanes alike: others wait for the write lock."""

NEXT_FENCE = "(min(CAST(fence AS INTEGER), 4611686018427387904) + 1)"
"""A forged fence (no number, or too high) becomes one that outcomes can name."""

FIRST_IN_LINE = """
SELECT group_concat(printf(
  '[%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%s]',
  priority, run_at, key, nonce, lane, {fence}, attempts + 1, crashes, expires_at <= ?,
  options IS NOT NULL, length(CAST(payload AS BLOB)), payload
))
FROM (
  {lanes}
  ORDER BY priority, run_at, key LIMIT ?
)
""".replace("{fence}", NEXT_FENCE)

# What `%d` makes of a column of another kind, CAST makes, too.
EACH_IN_LINE = """
SELECT
  CAST(priority AS INTEGER), CAST(run_at AS INTEGER), key, CAST(nonce AS INTEGER), lane,
  {fence}, CAST(attempts + 1 AS INTEGER), CAST(crashes AS INTEGER),
  coalesce(expires_at <= ?, 0), options IS NOT NULL, length(CAST(payload AS BLOB)),
  CAST(payload AS BLOB)
FROM (
  {lanes}
  ORDER BY priority, run_at, key LIMIT ?
)
""".replace("{fence}", NEXT_FENCE)

HELD = """
SELECT
  CAST(priority AS INTEGER), CAST(run_at AS INTEGER), key, CAST(nonce AS INTEGER), jobs.lane,
  CAST(fence AS INTEGER), CAST(attempts + 1 AS INTEGER), CAST(crashes AS INTEGER),
  coalesce(expires_at <= ?, 0), options IS NOT NULL, length(CAST(payload AS BLOB)),
  CAST(payload AS BLOB)
FROM mainspring_lanes AS lanes
CROSS JOIN mainspring_jobs AS jobs INDEXED BY mainspring_line
  ON jobs.lane = lanes.lane AND jobs.state = 2
WHERE node = ?
"""

ONE_LANE = """
  SELECT priority, run_at, key, nonce, lane, fence, attempts, crashes, expires_at, options,
    payload
  FROM mainspring_jobs INDEXED BY mainspring_line WHERE state = 0 AND lane = ?
"""

OPTIONS = """
SELECT key, CAST(options AS BLOB) FROM mainspring_jobs WHERE key IN (SELECT value FROM json_each(?))
"""
NO_OPTIONS: dict[int, bytes] = {}

INNOCENT = f"AND crashes < {SUSPECT_CRASHES}"
SUSPECT = f"AND crashes >= {SUSPECT_CRASHES}"
"""Conditions behind `ONE_LANE`."""

TAKE = """
UPDATE mainspring_jobs SET state = 2, node = ?, claimed_at = ?, fence = {fence}
WHERE key IN (SELECT value FROM json_each(?))
""".replace("{fence}", NEXT_FENCE)

TAKE_ONE = """
UPDATE mainspring_jobs SET state = 2, node = ?, claimed_at = ?, fence = {fence} WHERE key = ?
""".replace("{fence}", NEXT_FENCE)

FIRSTS_DUE = """
SELECT group_concat(printf('[%d,%d]', lane, first))
FROM (
  SELECT asked.value AS lane, (
    SELECT run_at FROM mainspring_jobs INDEXED BY mainspring_scheduled
    WHERE state = 1 AND lane = asked.value ORDER BY run_at LIMIT 1
  ) AS first
  FROM json_each(?) AS asked
)
WHERE typeof(first) IN ('integer', 'real')
"""

PROMOTE = """
UPDATE mainspring_jobs SET state = 0 WHERE key IN (
  SELECT key FROM mainspring_jobs INDEXED BY mainspring_scheduled
  WHERE state = 1 AND lane = ? AND run_at <= ? ORDER BY run_at LIMIT ?
)
"""

Waiting = tuple[int, int, int, int, int, int, int, int, int, int, int, Raw]
"""A row of `FIRST_IN_LINE`; its first three fields are its place in the line.

The last three are 1 if it has options, the number of its payload's bytes, and they themselves, as
a view of them.
"""

waiting = json.Decoder(list[Waiting])
firsts = json.Decoder(list[tuple[int, int]])


def promote(connection: sqlite3.Connection, lanes: Sequence[int], moment: Moment) -> float | None:
    """Make the delayed jobs that are due ready; return the seconds until the next is due."""
    due = [lane for lane, run_at in firsts_due(connection, lanes) if run_at <= moment.micros]
    for lane in due:
        most = max(1, MOST_PROMOTED // len(due))
        connection.execute(PROMOTE, (lane, moment.micros, most))
    return first_due(connection, lanes, moment)


def first_due(connection: sqlite3.Connection, lanes: Sequence[int], moment: Moment) -> float | None:
    """Return the seconds until the first delayed job of the lanes is due; None if there is none."""
    times = [run_at for _, run_at in firsts_due(connection, lanes)]
    return max(0.0, (min(times) - moment.micros) / MICROS) if times else None


def firsts_due(connection: sqlite3.Connection, lanes: Sequence[int]) -> list[tuple[int, int]]:
    """Return each lane that has delayed jobs, with the time its first is due."""
    return firsts.decode(f"[{text_of(connection, FIRSTS_DUE, (json.encode(lanes).decode(),))}]")


def claim(
    connection: sqlite3.Connection, node: int, *, lanes: Sequence[int], want: Want, moment: Moment
) -> list[Waiting]:
    """Assign a node the jobs of the lanes that it wants; return their rows in order."""
    claimed: list[Waiting] = []
    while lanes and len(claimed) < want.limit:
        most = min(want.limit - len(claimed), MOST_CLAIMS)
        left = None if want.suspects is None else want.suspects - suspects_in(claimed)
        rows = first_wanted(connection, lanes, most, moment, suspects=left)
        claimed += take(connection, node, rows, moment)
        if len(rows) < most:
            break
    return claimed


def take(
    connection: sqlite3.Connection, node: int, rows: list[Waiting], moment: Moment
) -> list[Waiting]:
    """Assign a node the jobs of these rows, read in this transaction; return the rows."""
    if len(rows) == 1:
        connection.execute(TAKE_ONE, (node, moment.micros, rows[0][2]))
    elif rows:
        keys = json.encode([row[2] for row in rows]).decode()
        connection.execute(TAKE, (node, moment.micros, keys))
    return rows


def first_wanted(
    connection: sqlite3.Connection,
    lanes: Sequence[int],
    limit: int,
    moment: Moment,
    *,
    suspects: int | None,
) -> list[Waiting]:
    """Return the ready jobs that are first in line, at most so many suspects among them."""
    rows = first_in_line(connection, lanes, limit, moment)
    if suspects is None or not too_many_suspects(rows, suspects):
        return rows
    innocent = first_in_line(connection, lanes, limit, moment, INNOCENT)
    some = first_in_line(connection, lanes, min(suspects, limit), moment, SUSPECT)
    return sorted(innocent + some, key=place_in_line)[:limit]


def too_many_suspects(rows: Sequence[Waiting], suspects: int | None) -> bool:
    """Return whether more than so many of the rows are of suspects."""
    return suspects is not None and suspects_in(rows) > suspects


def suspects_in(rows: Sequence[Waiting]) -> int:
    """Return how many of the rows are of jobs whose next crash would be their last."""
    return sum([row[7] >= SUSPECT_CRASHES for row in rows])


def first_in_line(
    connection: sqlite3.Connection,
    lanes: Sequence[int],
    limit: int,
    moment: Moment,
    condition: str = "",
) -> list[Waiting]:
    """Return the ready jobs of the lanes that are first in line."""
    rows: list[Waiting] = []
    for start in range(0, len(lanes), MOST_LANES):
        some = lanes[start : start + MOST_LANES]
        rows += first_of(connection, len(some), (moment.micros, *some, limit), condition)
    if len(lanes) > MOST_LANES:
        rows = sorted(rows, key=place_in_line)[:limit]
    return rows


def first_of(
    connection: sqlite3.Connection, lanes: int, parameters: Sequence[int], condition: str
) -> list[Waiting]:
    """Return what `FIRST_IN_LINE` finds in so many lanes."""
    try:
        rows = rows_in(text_of(connection, first_in_line_of(lanes, condition), parameters))
    except sqlite3.DataError:  # their payloads together are longer than a text of SQLite's may be
        rows = None
    if rows is None:
        # As it stands, so that the attempt of whoever has it finds that it can't be read.
        rows = connection.execute(each_in_line_of(lanes, condition), parameters).fetchall()
    return rows


def rows_in(text: str) -> list[Waiting] | None:
    """Return the rows in a text of `FIRST_IN_LINE`; None if one has a payload that is no JSON.

    Only somebody else writes such a one. It may end its row, and forge others behind it: then it is
    not so long as its row says.
    """
    try:
        rows = waiting.decode(f"[{text}]")
    except UNREADABLE:
        return None
    return None if [row for row in rows if len(row[11]) != row[10]] else rows


@cache
def first_in_line_of(lanes: int, condition: str = "") -> str:
    """Return the statement for so many lanes: SQLite merges their ends of the index lazily."""
    return FIRST_IN_LINE.replace("{lanes}", lanes_text(lanes, condition))


@cache
def each_in_line_of(lanes: int, condition: str = "") -> str:
    """Return the statement that finds the same, a row of SQLite's for each."""
    return EACH_IN_LINE.replace("{lanes}", lanes_text(lanes, condition))


def lanes_text(lanes: int, condition: str) -> str:
    """Return the part of the statements that reads so many lanes."""
    return " UNION ALL".join([ONE_LANE + condition] * lanes)


def held_rows(connection: sqlite3.Connection, node: int, moment: Moment) -> list[Waiting]:
    """Return the rows of what a node holds; like those of `FIRST_IN_LINE` as they were claimed."""
    return connection.execute(HELD, (moment.micros, node)).fetchall()


def place_in_line(row: Waiting) -> tuple[int, int, int]:
    """Return priority, run_at and key."""
    return row[:3]


def claims_of(
    connection: sqlite3.Connection, rows: Sequence[Waiting], known: KnownLanes, moment: Moment
) -> list[Claim]:
    """Return the grants for rows. Few jobs have options: theirs are read by themselves."""
    keys = [row[2] for row in rows if row[9]]
    asked = (json.encode(keys).decode(),)
    options = dict(connection.execute(OPTIONS, asked).fetchall()) if keys else NO_OPTIONS
    shift = moment.shift
    return [claim_of(row, known, options.get(row[2]), shift) for row in rows]


def claim_of(row: Waiting, known: KnownLanes, options: bytes | None, shift: int) -> Claim:
    """Return the grant for a row; `shift` is between stored and monotonic time."""
    _, run_at, key, nonce, lane, fence, attempt, crashes, expired, _, _, payload = row
    queue, task = known.names[lane]
    # Fields by place: by name they cost each job a third more.
    return Claim(
        key,
        format_id(key, nonce),
        fence,
        task,
        queue,
        bytes(payload),
        attempt,
        crashes,
        bool(expired),
        options,
        (run_at - shift) / MICROS,
    )
