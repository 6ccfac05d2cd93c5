"""Lanes: the numbers that stand for (queue, task) in the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.stores.sql.lanes import KnownLanes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from mainspring.stores.sql.lanes import Name
    from mainspring.stores.sqlite.connections.readers import Readers
    from mainspring.stores.sqlite.connections.writer import Writer

HIGHEST = 2**62
"""Rows from this number on are none of ours: the next number does not follow them."""

LAST_LANE = "coalesce((SELECT max(lane) FROM mainspring_lanes WHERE lane < 4611686018427387904), 0)"
"""The number of the lane that was added last, as an expression of SQL."""

NEXT_LANE = f"1 + {LAST_LANE}"
"""The number of the next lane, as an expression of SQL."""

ADD_LANE = "INSERT OR IGNORE INTO mainspring_lanes (lane, queue, task) SELECT {next}, ?, ?".replace(
    "{next}", NEXT_LANE
)
LANE = "SELECT lane FROM mainspring_lanes WHERE queue = ? AND task = ?"
LANES_FROM = """
SELECT lane, CAST(queue AS BLOB), CAST(task AS BLOB)
FROM mainspring_lanes WHERE lane >= ? ORDER BY lane
"""

FOREIGN = "surrogateescape"


class LaneTable:
    """The lanes of one database, read and added by its connections."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers
        self.known = KnownLanes()

    def numbers(self, names: AbstractSet[Name]) -> dict[Name, int]:
        """Return a mapping that holds the number of each name; new ones get one.

        Not to be called in a transaction: a lane is committed before it is used, so that a
        transaction that fails takes none back that another thread relies on.
        """
        missing = self.known.missing(names)
        if missing:
            with self._writer as connection:
                connection.executemany(ADD_LANE, missing)
            with self._readers.lend() as connection:
                learn(connection, self.known)
        return self.known.numbers

    def as_seen_by(self, connection: sqlite3.Connection, names: Iterable[Name]) -> dict[Name, int]:
        """Return the number of each name in a transaction that may yet be rolled back.

        A new lane lives and dies with it, so it is not known here before it is met again.
        """
        seen: dict[Name, int] = {}
        for name in names:
            if name in self.known.numbers:
                seen[name] = self.known.numbers[name]
                continue
            connection.execute(ADD_LANE, name)
            (seen[name],) = connection.execute(LANE, name).fetchone()
        return seen


def learn(connection: sqlite3.Connection, known: KnownLanes) -> None:
    """Read the lanes that have been added."""
    rows = connection.execute(LANES_FROM, (known.next,)).fetchall()
    # Somebody else's that are no UTF-8 must not read as one that is.
    named = [
        (lane, (queue.decode("utf-8", FOREIGN), task.decode("utf-8", FOREIGN)))
        for lane, queue, task in rows
    ]
    known.learn(named, below=HIGHEST)
