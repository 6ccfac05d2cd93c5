"""Statements over many rows that are one step of SQLite each.

Python's sqlite3 lets go of the interpreter lock at each step, and a busy thread may then keep it
for 5 ms. So a batch is written as rows of one VALUES clause, and read as one row of JSON text.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence

Row = TypeVar("Row")

MOST_ROWS = 256
"""Rows of one statement: some 2,000 parameters, of the 32,766 that SQLite takes."""


def in_chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Cut rows into pieces whose lengths are powers of two, so that few statements are met."""
    start = 0
    while (left := len(rows) - start) > 0:
        size = min(MOST_ROWS, 1 << (left.bit_length() - 1))
        yield rows[start : start + size] if start or size < len(rows) else rows
        start += size


@cache
def with_rows(statement: str, columns: int, rows: int) -> str:
    """Return a statement in which `{rows}` has become so many rows of parameters."""
    row = f"({', '.join('?' * columns)})"
    return statement.replace("{rows}", ", ".join([row] * rows))


def text_of(
    connection: sqlite3.Connection,
    statement: str,
    parameters: Sequence[object] | Mapping[str, object],
) -> str:
    """Return the one text a statement gives: rows as a JSON array without its brackets."""
    return connection.execute(statement, parameters).fetchone()[0] or ""
