"""Lanes: the numbers that stand for (queue, task) in the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.stores.sqlite.rows.numbers import HIGHEST, NEXT_LANE

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable

    from mainspring.model.job import Want
    from mainspring.stores.sqlite.connections.readers import Readers
    from mainspring.stores.sqlite.connections.writer import Writer

ADD_LANE = "INSERT OR IGNORE INTO lanes (lane, queue, task) SELECT {next}, ?, ?".replace(
    "{next}", NEXT_LANE
)
LANE = "SELECT lane FROM lanes WHERE queue = ? AND task = ?"
LANES_FROM = """
SELECT lane, CAST(queue AS BLOB), CAST(task AS BLOB) FROM lanes WHERE lane >= ? ORDER BY lane
"""

LAST_LANE = "coalesce((SELECT max(lane) FROM lanes WHERE lane < 4611686018427387904), 0)"
"""The number of the lane that was added last, as an expression of SQL."""

LOWEST = -(2**63)

Name = tuple[str, str]
"""Queue and task."""

Asked = tuple[tuple[str, ...], tuple[str, ...] | None]
"""Tasks and queues of a want."""


class Lanes:
    """The lanes this process knows. They are never deleted, so what is known stays true."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers
        self._next = LOWEST
        self._numbers: dict[Name, int] = {}
        self._names: dict[int, Name] = {}
        self._matching: dict[Asked, list[int]] = {}

    def numbers(self, names: Iterable[Name]) -> dict[Name, int]:
        """Return a mapping that holds the number of each name; new ones get one.

        Not to be called in a transaction: a lane is committed before it is used, so that a
        transaction that fails takes none back that another thread relies on.
        """
        missing = [name for name in names if name not in self._numbers]
        if missing:
            with self._writer as connection:
                connection.executemany(ADD_LANE, missing)
            with self._readers.lend() as connection:
                self.learn(connection)
        return self._numbers

    def as_seen_by(self, connection: sqlite3.Connection, names: Iterable[Name]) -> dict[Name, int]:
        """Return the number of each name in a transaction that may yet be rolled back.

        A new lane lives and dies with it, so it is not known here before it is met again.
        """
        seen: dict[Name, int] = {}
        for name in names:
            if name in self._numbers:
                seen[name] = self._numbers[name]
                continue
            connection.execute(ADD_LANE, name)
            (seen[name],) = connection.execute(LANE, name).fetchone()
        return seen

    def name(self, lane: int) -> Name:
        """Return queue and task of a lane that this process knows."""
        return self._names[lane]

    def learn(self, connection: sqlite3.Connection) -> None:
        """Learn the lanes that have been added."""
        for lane, *name in connection.execute(LANES_FROM, (self._next,)).fetchall():
            # Somebody else's that are no UTF-8 must not read as one that is.
            queue, task = (part.decode("utf-8", "surrogateescape") for part in name)
            self._names[lane] = queue, task
            self._numbers[queue, task] = lane
            if lane < HIGHEST:
                self._next = lane + 1
        self._next = max(self._next, 1)
        self._matching = {}

    def up_to(self, last: int) -> bool:
        """Whether all lanes up to the number `last` are known."""
        return self._next > last

    def matching(self, want: Want, paused: Collection[str] = ()) -> list[int]:
        """Return the lanes a want may claim from, but for those of paused queues."""
        lanes = self._all_matching(want)
        return [lane for lane in lanes if self._names[lane][0] not in paused] if paused else lanes

    def _all_matching(self, want: Want) -> list[int]:
        # Taken before the lanes are read: `learn` puts a new mapping in its place.
        matching = self._matching
        asked = want.tasks, want.queues
        if asked not in matching:
            matching[asked] = [
                lane
                for (queue, task), lane in list(self._numbers.items())
                if task in want.tasks and (want.queues is None or queue in want.queues)
            ]
        return matching[asked]
