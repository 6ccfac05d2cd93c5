"""Odd values in the columns of PostgreSQL's tables: no view, command or worker breaks of them.

The columns are read from the schema. All at once, each in another row; `make test-long` writes the
values of one column at a time, which tells the columns apart.
"""

from __future__ import annotations

from contextlib import suppress

import psycopg
import pytest

from forged_store import broken, everything, make_queue, seed
from mainspring.stores.postgres import PostgresStore

NUMBERS = ("NULL", "-1", "2", "7")
TEXTS = (
    "NULL",
    "''",
    "'odd'",
    "'12abc'",
    "repeat('7', 5000)",
    r"E'\x1b[2J\r\n\u202e\u009bodd'",
    """'{"type": '""",
    r"""'{"type": "a\u0000", "message": "\ud800", "traceback": ""}'""",
    """'[1, null, {"a": [2]}]'""",
    """'{"tasks": 5, "slots": {"thread": {"size": "x"}}, "every": -1e999}'""",
    """'{"every": 1e-300}'""",
    """'{"cron": "61 * * * *", "tz": "../../etc"}'""",
    "repeat('[', 20000)",
    "repeat('[', 20000) || repeat(']', 20000)",
    "repeat('x', 200000)",
)
VALUES = {
    "bigint": (*NUMBERS, "9223372036854775807", "-9223372036854775808", "9000000000000000000"),
    "integer": (*NUMBERS, "2147483647", "-2147483648"),
    "smallint": (*NUMBERS, "32767", "-32768"),
    "text": TEXTS,
    "boolean": ("NULL", "true", "false"),
    "double precision": ("NULL", "'NaN'", "'Infinity'", "-1", "1e300"),
}
ROWS = 16
TABLES = (
    *("lanes", "nodes", "jobs", "finished", "attempts", "idempotency", "paused", "progress"),
    *("log", "schedules", "locks", "tags", "chronicle"),
)
ONE_ROW = {"schema_version"}

COLUMNS = """
SELECT column_name, data_type FROM information_schema.columns
WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position
"""
KEYS = """
SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
WHERE indrelid = %s::regclass AND indisprimary ORDER BY attname
"""
TABLES_THERE = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = %s::regnamespace"
)


class PostgresForger:
    """Writes values into tables as somebody does who heeds none of our rules."""

    def __init__(self, database, schema):
        self._schema = schema
        self._connection = psycopg.connect(database, autocommit=True)
        self._connection.execute(f"SET search_path TO {schema}")

    def tables(self):
        return {name for (name,) in self._connection.execute(TABLES_THERE, (self._schema,))}

    def pairs(self, table):
        """Return each column of a table with each of its values."""
        columns = self._connection.execute(COLUMNS, (self._schema, table)).fetchall()
        return [(name, value) for name, kind in columns for value in VALUES[kind]]

    def write(self, table, pairs):
        """Write each pair into another row, again from the second: the first stays as it is."""
        keys = [name for (name,) in self._connection.execute(KEYS, (table,))]
        # Rows as they are before: who changes a key must not lose the row.
        select = f"SELECT {', '.join(keys)} FROM {table} ORDER BY {', '.join(keys)}"
        _, *rows = self._connection.execute(select).fetchall()
        assert rows, f"nothing stands in {table}: seed it"
        where = " AND ".join(f"{key} = %s" for key in keys)
        for number, (column, value) in enumerate(pairs):
            row = rows[number % len(rows)]
            with suppress(psycopg.Error):  # NOT NULL, a key that is there or is generated
                # Not given as parameters: then the letters of escapes are the server's own.
                text = value.replace("%", "%%")
                self._connection.execute(f"UPDATE {table} SET {column} = {text} WHERE {where}", row)

    def close(self):
        self._connection.close()


@pytest.fixture
def queue(postgres_url):
    store = PostgresStore(postgres_url, durability="normal")
    seed(store, ROWS)
    store.close()
    queue = make_queue(postgres_url)
    yield queue
    queue.close()


@pytest.fixture
def forger(postgres_database, postgres_url, queue):
    forger = PostgresForger(postgres_database, postgres_url.rpartition("schema=")[2])
    yield forger
    forger.close()


def test_odd_values_in_all_columns_break_nothing(queue, forger, postgres_url):
    assert forger.tables() == {*TABLES, *ONE_ROW}
    for table in TABLES:
        forger.write(table, forger.pairs(table))
    assert broken(everything(queue, postgres_url)) == {}


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("table", TABLES)
def test_odd_values_in_a_column_break_nothing(table, queue, forger, postgres_url, request):
    """One column at a time."""
    for column in dict.fromkeys(column for column, _ in forger.pairs(table)):
        values = [pair for pair in forger.pairs(table) if pair[0] == column]
        forger.write(table, values)
        assert {column: broken(everything(queue, postgres_url))} == {column: {}}
