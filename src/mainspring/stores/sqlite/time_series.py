"""Time series in their table, which keeps the name that it had at first, `chronicle`.

An entry whose moment is no number is dropped with the old ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import json

from mainspring.model.time_series import SeriesPage
from mainspring.stores.clock import as_datetime, as_micros
from mainspring.stores.rules.time_series import FUTURE_SECONDS, entry_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from datetime import datetime

    from mainspring.stores.clock import Moment

# Somebody may have written the highest key there is, after which SQLite finds no other.
ADD = """
INSERT INTO mainspring_chronicle (key, kind, at, text) SELECT 1 + coalesce(
  (SELECT max(key) FROM mainspring_chronicle WHERE key < 4611686018427387904), 0
), ?, ?, ?
"""

ENTRIES = """
SELECT key, at, CAST(text AS BLOB)
FROM mainspring_chronicle INDEXED BY mainspring_chronicle_by_time
WHERE kind = :kind AND at >= :first AND at <= min(:last, coalesce((
    SELECT at FROM mainspring_chronicle WHERE key = :before), :last)
  )
  AND (:before IS NULL OR (at, key) < (
    (SELECT at FROM mainspring_chronicle WHERE key = :before), CAST(:before AS INTEGER)
  ))
ORDER BY at DESC, key DESC LIMIT :limit
"""

THESE = "kind = ? AND key IN (SELECT value FROM json_each(?))"
REPLACE = f"DELETE FROM mainspring_chronicle WHERE {THESE}"  # noqa: S608  # ours
COUNT = f"SELECT count(*) FROM mainspring_chronicle WHERE {THESE}"  # noqa: S608  # as above

# Each end of the index by itself, or else all between them is read. Texts and BLOBs are above any
# number; a fraction of a microsecond goes with its time.
OLD = """
SELECT key FROM mainspring_chronicle INDEXED BY mainspring_chronicle_by_time
WHERE kind = :kind AND at <= :last
UNION ALL
SELECT key FROM mainspring_chronicle INDEXED BY mainspring_chronicle_by_time
WHERE kind = :kind AND at > :future
LIMIT :limit
"""
DROP = f"DELETE FROM mainspring_chronicle WHERE key IN ({OLD})"  # noqa: S608  # ours


def add_entry(
    connection: sqlite3.Connection, kind: str, text: bytes, *, ago: float, moment: Moment
) -> None:
    """Keep a text."""
    connection.execute(ADD, (kind, moment.after(-ago), text.decode()))


def entries(  # noqa: PLR0913  # each is one value of the verb
    connection: sqlite3.Connection,
    kind: str,
    *,
    newer_than: float,
    older_than: float,
    before: int | None,
    limit: int,
    moment: Moment,
) -> SeriesPage:
    """Return the entries of these ages, newest first."""
    asked = {
        "kind": kind,
        "first": moment.after(-newer_than),
        "last": moment.after(-older_than),
        "before": before,
        "limit": limit,
    }
    rows = connection.execute(ENTRIES, asked).fetchall()
    found = [entry for row in rows if (entry := entry_of(*row)) is not None]
    return SeriesPage(as_datetime(moment.micros), found)


def replace_entries(  # noqa: PLR0913  # as above
    connection: sqlite3.Connection,
    kind: str,
    keys: Sequence[int],
    *,
    by: str,
    at: datetime,
    text: bytes,
) -> bool:
    """Put one entry in the place of others, if all of these are there."""
    asked = kind, json.encode(keys).decode()
    if connection.execute(COUNT, asked).fetchone() != (len(keys),):
        return False
    connection.execute(REPLACE, asked)
    connection.execute(ADD, (by, as_micros(at), text.decode()))
    return True


def any_old_entry(
    connection: sqlite3.Connection, kind: str, older_than: float, moment: Moment
) -> bool:
    """Return whether there is anything to drop, by reading only."""
    asked = asked_old(kind, older_than, 1, moment)
    return connection.execute(OLD, asked).fetchone() is not None


def drop_entries(
    connection: sqlite3.Connection, kind: str, *, older_than: float, limit: int, moment: Moment
) -> int:
    """Drop what is that old, or of no moment that can be."""
    return connection.execute(DROP, asked_old(kind, older_than, limit, moment)).rowcount


def asked_old(kind: str, older_than: float, limit: int, moment: Moment) -> dict[str, object]:
    """Return the parameters of `OLD`."""
    return {
        "kind": kind,
        "last": moment.after(-older_than),
        "future": moment.after(FUTURE_SECONDS),
        "limit": limit,
    }
