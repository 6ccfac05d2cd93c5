"""Odd values in every column of every table: no view, command or worker breaks of them.

The columns are read from the schema, so a new one is covered by itself. Each row of a table gets
odd values in all of its columns; `make test-long` writes one column, and one value, at a time,
which tells them apart. For one value at a time a few rows of each kind are enough.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from functools import cache

import pytest

from forged_store import broken, everything, make_queue, seed
from mainspring.stores.sqlite import SqliteStore
from mainspring.stores.sqlite.schema.migration import advance

VALUES = {
    "NULL": "NULL",
    "the largest": "9223372036854775807",
    "the smallest": "-9223372036854775808",
    "9e18": "9000000000000000000",
    "-1": "-1",
    "2": "2",
    "7": "7",
    "a fraction": "1.5",
    "infinite": "9e999",
    "minus infinite": "-9e999",
    "a float beyond": "1e300",
    "no text": "''",
    "a word": "'odd'",
    "a number as text": "'12abc'",
    "many digits": "printf('%.*c', 5000, '7')",
    "a NUL": "'a' || char(0) || 'b'",
    "no UTF-8": "CAST(x'61ff62' AS TEXT)",
    "a surrogate": "CAST(x'eda080' AS TEXT)",
    "bytes": "x'80ff00'",
    "no bytes": "x''",
    "control characters": "char(27) || '[2J' || char(13, 10, 8238, 155) || 'odd'",
    "half of a JSON": """'{"type": '""",
    "the end of a row": "'[[],{}]],[0,0,1,0,1,1,1,0,0,7,[[],{}]'",
    "another JSON": "'[1, null, {\"a\": [2]}]'",
    "an object": """'{"tasks": 5, "slots": {"thread": {"size": "x"}}, "every": -1e999}'""",
    "a rule of no time": """'{"every": 1e-300}'""",
    "a rule of an odd place": """'{"cron": "61 * * * *", "tz": "../../etc"}'""",
    "too deep": "printf('%.*c', 20000, '[')",
    "deep enough": "printf('%.*c', 20000, '[') || printf('%.*c', 20000, ']')",
    "huge": "printf('%.*c', 200000, 'x')",
}
ROWS = len(VALUES)
FEW_ROWS = 6


def schema():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        advance(connection, 0)
        return [
            (table, row[1])
            for (table,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
                " AND name <> 'mainspring_schema_version'"  # one row, read before all else
            ).fetchall()
            for row in connection.execute(f"PRAGMA table_info({table})").fetchall()
        ]


COLUMNS = schema()


class SqliteForger:
    """Writes values into a file as somebody does who heeds none of our rules."""

    def __init__(self, path):
        self.path = path

    def write(self, table, column, values):
        """Write each of the values into another row, again from the first; return how many."""
        return self.write_rows(table, lambda number: [(column, values[number % len(values)])])

    def write_every_second(self, table, column, value):
        """Write the value into every second row; return how many took it."""
        return self.write_rows(table, lambda number: [] if number % 2 else [(column, value)])

    def write_rows(self, table, pairs_of):
        """Write into each row the pairs of column and value of its number; return how many."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            keys = self.keys_of(connection, table)
            rows = connection.execute(
                f"SELECT {', '.join(keys)} FROM {table} ORDER BY 1"
            ).fetchall()
            assert rows, f"nothing stands in {table}: seed it"
            where = " AND ".join(f"{key} = ?" for key in keys)
            written = 0
            for number, row in enumerate(rows):
                for column, value in pairs_of(number):
                    with suppress(sqlite3.Error):  # NOT NULL, a key that is there, one of a kind
                        written += connection.execute(
                            f"UPDATE {table} SET {column} = {value} WHERE {where}", row
                        ).rowcount
            return written

    def keys(self, table):
        with closing(sqlite3.connect(self.path)) as connection:
            return self.keys_of(connection, table)

    @staticmethod
    def keys_of(connection, table):
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        return [row[1] for row in sorted(columns, key=lambda row: row[5]) if row[5]] or ["rowid"]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    """The path of a store with so many rows of each kind, filled once."""

    @cache
    def path_of(rows):
        path = tmp_path_factory.mktemp("seed") / "jobs.db"
        store = SqliteStore(path, durability="normal")
        seed(store, rows)
        store.close()
        return path

    return path_of


@pytest.fixture
def rows():
    return ROWS


@pytest.fixture
def path(seeded, rows, tmp_path):
    path = tmp_path / "jobs.db"
    with closing(sqlite3.connect(seeded(rows))) as full, closing(sqlite3.connect(path)) as copy:
        full.backup(copy)
        copy.execute("PRAGMA journal_mode = WAL")
    path.chmod(0o600)
    return path


@pytest.fixture
def queue(path):
    queue = make_queue(f"sqlite:///{path}")
    yield queue
    queue.close()


@pytest.mark.parametrize("table", sorted({table for table, _ in COLUMNS}))
def test_odd_values_in_all_columns_break_nothing(queue, path, table):
    forger, values = SqliteForger(path), list(VALUES.values())
    keys = forger.keys(table)
    others = [column for one, column in COLUMNS if one == table and column not in keys]

    def odd(number):
        # The key last: with another one the row is not found again.
        for place, column in enumerate((*others, keys[number % len(keys)])):
            yield column, values[(number + place + 1) % len(values)]

    assert forger.write_rows(table, odd)
    assert broken(everything(queue, f"sqlite:///{path}")) == {}


@pytest.mark.long
@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=map(".".join, COLUMNS))
def test_odd_values_in_a_column_break_nothing(queue, path, table, column):
    SqliteForger(path).write(table, column, list(VALUES.values()))
    assert broken(everything(queue, f"sqlite:///{path}")) == {}


@pytest.mark.long
@pytest.mark.parametrize("rows", [FEW_ROWS], ids=["few rows"])
@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=map(".".join, COLUMNS))
def test_an_odd_value_in_a_column_breaks_nothing(queue, path, table, column, value):
    # A column that takes none of it leaves the store as the other tests have it.
    if SqliteForger(path).write_every_second(table, column, VALUES[value]):
        assert broken(everything(queue, f"sqlite:///{path}")) == {}
