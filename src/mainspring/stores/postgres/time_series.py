"""Time series in their table, which keeps the name that it had at first, `chronicle`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.time_series import SeriesPage
from mainspring.stores.clock import as_datetime, as_micros
from mainspring.stores.postgres.connections.statements import micros
from mainspring.stores.rules.time_series import FUTURE_SECONDS, entry_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mainspring.stores.postgres.connections.statements import ServerMoment, Statements

ADD = "INSERT INTO chronicle (kind, at, text) VALUES (%(kind)s, {now} - %(ago)s, %(text)s)"
ADD_AT = "INSERT INTO chronicle (kind, at, text) VALUES (%(kind)s, %(at)s, %(text)s)"

ENTRIES = """
SELECT {now}, key, at, text FROM (SELECT) AS always LEFT JOIN (
  SELECT key, at, text FROM chronicle
  WHERE kind = %(kind)s AND at BETWEEN {now} - %(newer)s::bigint AND {now} - %(older)s::bigint
    AND (%(before)s::bigint IS NULL OR (at, key) < (
      (SELECT at FROM chronicle WHERE key = %(before)s), %(before)s
    ))
  ORDER BY at DESC, key DESC LIMIT %(limit)s
) AS found ON true
ORDER BY at DESC, key DESC
"""

REPLACE = "DELETE FROM chronicle WHERE kind = %(kind)s AND key = ANY (%(keys)s)"
LOCKED = """
SELECT key FROM chronicle WHERE kind = %(kind)s AND key = ANY (%(keys)s) ORDER BY key FOR UPDATE
"""

# One range of the index for each: a condition on both, in order of key, would read all entries.
OLD = """
(SELECT key FROM chronicle WHERE kind = %(kind)s AND at <= {now} - %(age)s::bigint
ORDER BY at LIMIT %(limit)s)
UNION ALL
(SELECT key FROM chronicle WHERE kind = %(kind)s AND at > {now} + %(future)s::bigint
ORDER BY at LIMIT %(limit)s)
LIMIT %(limit)s
"""
DROP = f"""
DELETE FROM chronicle WHERE key IN (
  SELECT key FROM chronicle WHERE key = ANY (ARRAY({OLD})) FOR UPDATE SKIP LOCKED
)
"""  # noqa: S608  # ours


def add_entry(
    connection: Statements, kind: str, text: bytes, *, ago: float, moment: ServerMoment
) -> None:
    """Keep a text."""
    asked = {"kind": kind, "ago": micros(ago), "text": text.decode(), "now": moment.micros}
    connection.execute(ADD, asked)


def entries(  # noqa: PLR0913  # each is one value of the verb
    connection: Statements,
    kind: str,
    *,
    newer_than: float,
    older_than: float,
    before: int | None,
    limit: int,
    moment: ServerMoment,
) -> SeriesPage:
    """Return the entries of these ages, newest first."""
    asked = {
        "kind": kind,
        "newer": micros(newer_than),
        "older": micros(older_than),
        "before": before,
        "limit": limit,
        "now": moment.micros,
    }
    rows = connection.rows(ENTRIES, asked)
    found = [entry for _, *row in rows if (entry := entry_of(*row)) is not None]
    return SeriesPage(as_datetime(rows[0][0]), found)


def replace_entries(  # noqa: PLR0913  # as above
    connection: Statements,
    kind: str,
    keys: Sequence[int],
    *,
    by: str,
    at: datetime,
    text: bytes,
) -> bool:
    """Put one entry in the place of others, if all of these are there."""
    asked = {"kind": kind, "keys": list(keys)}
    if len(connection.rows(LOCKED, asked)) != len(keys):
        return False
    connection.execute(REPLACE, asked)
    connection.execute(ADD_AT, {"kind": by, "at": as_micros(at), "text": text.decode()})
    return True


def any_old_entry(
    connection: Statements, kind: str, older_than: float, moment: ServerMoment
) -> bool:
    """Return whether there is anything to drop, by reading only."""
    return bool(connection.rows(OLD, old_asked(kind, older_than, 1, moment)))


def drop_entries(
    connection: Statements, kind: str, *, older_than: float, limit: int, moment: ServerMoment
) -> int:
    """Drop what is that old, or of no moment that can be."""
    return connection.execute(DROP, old_asked(kind, older_than, limit, moment)).rowcount


def old_asked(kind: str, older_than: float, limit: int, moment: ServerMoment) -> dict[str, object]:
    """Return the parameters of what is that old."""
    return {
        "kind": kind,
        "age": micros(older_than),
        "future": micros(FUTURE_SECONDS),
        "limit": limit,
        "now": moment.micros,
    }
