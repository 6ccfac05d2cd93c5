"""Our statements on a connection, on whatever schema, by whatever clock."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg.rows import tuple_row

from mainspring.stores.clock import MICROS
from mainspring.stores.postgres.address import channel_of, lock_class
from mainspring.stores.sql.qualified import qualified, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainspring.stores.clock import Clock

NOW = """(SELECT coalesce(
  %(now)s::bigint, (extract(epoch FROM statement_timestamp()) * 1000000)::bigint
))"""
"""The time of a statement, as stored: the server's, or that of a clock which was given."""

Rows = list[tuple[Any, ...]]


class ServerMoment:
    """The store's time as a parameter, and the age of monotonic times.

    `micros` is None for the server's own clock.
    """

    __slots__ = ("_monotonic", "micros")

    def __init__(self, clock: Clock, *, given: bool) -> None:
        self.micros = int(clock.now() * MICROS) if given else None
        self._monotonic = int(clock.monotonic() * MICROS)

    def monotonic(self, micros: int, now: int) -> float:
        """Return the monotonic time of a stored time; `now` is the store's."""
        return (self._monotonic - now + micros) / MICROS

    def age(self, monotonic: float) -> int:
        """Return how long ago a monotonic time was, in stored time."""
        return self._monotonic - int(monotonic * MICROS)


class Statements:
    """A connection, as the verbs see it. It gives plain tuples, whatever its owner has set."""

    __slots__ = ("_schema", "driver")

    def __init__(self, driver: psycopg.Connection[Any], schema: str) -> None:
        self.driver = driver
        self._schema = schema

    @property
    def locks(self) -> int:
        """The first number of our advisory locks."""
        return lock_class(self._schema)

    def channel(self, topic: str) -> str:
        """Return the channel on which a topic is notified."""
        return channel_of(self._schema, topic)

    def execute(
        self, statement: str, parameters: Mapping[str, object] | None = None
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        """Execute one of our statements; in a pipeline its rows are there only at the end."""
        text, names = numbered(statement, self._schema)
        cursor = psycopg.RawCursor(self.driver, row_factory=tuple_row)
        if parameters is None:
            return cursor.execute(text)
        return cursor.execute(text, [parameters[name] for name in names])

    def changed(self, statement: str, parameters: Mapping[str, object]) -> int:
        """Return how many rows a statement has written; in a pipeline it waits for the answer."""
        cursor = self.execute(statement, parameters)
        if self.driver.pgconn.pipeline_status:
            self.rows("SELECT 1")
        return cursor.rowcount

    def execute_all(self, texts: bytes) -> None:
        """Execute statements without parameters in one round trip."""
        psycopg.Cursor(self.driver).execute(texts, prepare=False)

    def rows(self, statement: str, parameters: Mapping[str, object] | None = None) -> Rows:
        """Return all rows of a statement."""
        return self.execute(statement, parameters).fetchall()


class NumberedStatement(NamedTuple):
    """A statement as the server takes it, `$1` for the first of `names` in it."""

    text: bytes
    names: tuple[str, ...]


@cache
def numbered(statement: str, schema: str) -> NumberedStatement:
    """Return a statement for the server: its time, tables and sequences filled in.

    The driver would find the parameters itself, but anew with each call of a statement of more than
    4,096 bytes: longer than it takes to carry out.
    """
    names: dict[str, int] = {}

    def number(placeholder: re.Match[str]) -> str:
        return f"${names.setdefault(placeholder[1], len(names) + 1)}"

    text = statement.replace("{now}", NOW).replace("{schema}", quoted(schema))
    text = re.sub(r"%\((\w+)\)s", number, qualified(text, schema))
    return NumberedStatement(text.encode(), tuple(names))


def micros(seconds: float) -> int:
    """Return a duration as stored time."""
    return int(seconds * MICROS)


def holds_nul(*texts: str | None) -> bool:
    """Return whether a text can stand in no row: PostgreSQL keeps no NUL, nor is asked for one."""
    return any(text is not None and "\x00" in text for text in texts)
