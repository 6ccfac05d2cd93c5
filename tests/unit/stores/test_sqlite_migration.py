"""From the first schema to the next: every row is kept, also when the process is killed."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from mainspring.errors import StoreUnusable
from mainspring.model.job import JobState, OutcomeKind
from mainspring.model.view import JobFilter
from mainspring.stores.sqlite import SqliteStore
from mainspring.stores.sqlite.schema import migration
from mainspring.testing.contracts.cases import new_job, outcome, want

# A file as version 1 wrote it: jobs that wait, are delayed, run, and have ended in each way.
OLD_ROWS = """
INSERT INTO lanes VALUES (1, 'queue', 'task'), (2, 'mail', 'send');
INSERT INTO nodes VALUES (1, 'old', 'host', 7, 0, 0, NULL), (2, 'gone', 'host', 8, 0, 0, 5000000);
INSERT INTO jobs (key, nonce, lane, state, priority, run_at, created_at, attempts, crashes, fence,
                  node, claimed_at, payload)
VALUES
  (1, 11, 1, 0, -5, 1000000, 1000000, 1, 0, 2, NULL, NULL, '[[1],{}]'),
  (2, 12, 2, 1, 0, 9000000000000000, 1000000, 0, 0, 0, NULL, NULL, '[[2],{}]'),
  (3, 13, 1, 2, 0, 1000000, 1000000, 0, 1, 3, 1, 2000000, '[[3],{}]');
INSERT INTO finished
VALUES
  (4, 14, 1, 3, 0, 1000000, 1000000, 1, 0, 1, 2, 2000000, 3000000, '42', NULL, '[[4],{}]'),
  (5, 15, 2, 4, 0, 1000000, 1000000, 4, 0, 4, 2, 2000000, 4000000, NULL,
   '{"type":"builtins.OSError","message":"no","traceback":""}', '[[5],{}]'),
  (6, 16, 2, 5, 0, 1000000, 1000000, 0, 0, 0, NULL, NULL, 4000000, NULL, NULL, '[[6],{}]');
INSERT INTO attempts VALUES
  (1, 1, 2, 2000000, 3000000, 'retry', '{"type":"T","message":"m","traceback":""}'),
  (5, 3, 2, 2000000, 3000000, 'crashed', NULL);
"""
IDS = [
    "6-00000010", "5-0000000f", "4-0000000e", "3-0000000d", "2-0000000c", "1-0000000b"
]  # fmt: skip


@pytest.fixture
def path(tmp_path):
    """Return the path of a file of version 1."""
    path = tmp_path / "jobs.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    for statement in migration.statements_of(1):
        connection.execute(statement.replace("mainspring_", ""))
    connection.executescript(OLD_ROWS)
    connection.execute(f"PRAGMA application_id = {migration.APPLICATION_ID}")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    return path


def version(path):
    connection = sqlite3.connect(path)
    number = migration.version_of(connection, path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    return number


def assert_all_is_there(store):
    records = store.jobs(JobFilter())
    assert [record.id for record in records] == IDS
    assert [record.state.value for record in records] == [
        "cancelled", "failed", "completed", "running", "pending", "pending"
    ]  # fmt: skip
    assert [record.payload for record in records] == [
        f"[[{number}],{{}}]".encode() for number in (6, 5, 4, 3, 2, 1)
    ]
    assert [line.outcome for line in store.history(IDS[5])] == ["retry"]
    assert [line.outcome for line in store.history(IDS[1])] == ["crashed", "failed"]
    assert (records[2].result, records[1].failure.message) == (b"42", "no")
    assert [(node.name, node.running, node.serves) for node in store.nodes()] == [("old", 1, b"{}")]


def test_a_file_of_version_1_keeps_every_row(path):
    store = SqliteStore(path)
    assert_all_is_there(store)
    assert version(path) == migration.VERSION
    store.close()


def test_its_jobs_do_all_that_new_ones_do(path):
    store = SqliteStore(path)
    node = store.join("new", host="host", pid=1, lease=15)
    (claim,) = store.claim(node, [want()])
    assert (claim.id, claim.attempt, claim.fence, claim.expired) == (IDS[5], 2, 3, False)
    assert store.cancel([claim.id, IDS[4], IDS[2]]) == [True, True, False]
    assert store.finish_many(node, [outcome(claim, OutcomeKind.RETRY)]) == [True]
    assert store.rescue(1, dead=True, begun=None) is not None
    assert store.retry([IDS[1], IDS[0], claim.id]) == [IDS[1], IDS[0], claim.id]
    assert store.get(IDS[3]).state is JobState.PENDING
    assert store.enqueue_many([new_job(unique="k")]) == store.enqueue_many([new_job(unique="k")])
    assert store.purge(completed_after=0, failed_after=0, limit=10) == 2
    store.close()


def schema_of(path):
    """Return the columns of each table and index of a file."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT type, name, tbl_name FROM sqlite_master").fetchall()
        return {
            row: [
                connection.execute(f"PRAGMA {of}({row[1]})").fetchall()
                for of in ("table_xinfo", "index_xinfo")
            ]
            for row in rows
        }


@pytest.mark.parametrize("number", range(1, migration.PREFIXED))
def test_a_file_of_each_earlier_version_gets_the_schema_of_a_new_one(path, tmp_path, number):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for between in range(2, number + 1):
            for statement in migration.statements_of(between):
                connection.execute(statement.replace("mainspring_", ""))
        connection.execute(f"PRAGMA user_version = {number}")
    for made in (path, tmp_path / "new.db"):
        store = SqliteStore(made)
        store.stats()
        store.close()
    assert schema_of(path) == schema_of(tmp_path / "new.db")


def test_numbers_of_nodes_go_on_where_the_earlier_version_was(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE sqlite_sequence SET seq = 41 WHERE name = 'nodes'")
    store = SqliteStore(path)
    assert store.join("new", host="host", pid=1, lease=15) == 42
    store.close()


def test_a_table_of_the_users_that_a_later_version_would_have_had_is_not_renamed(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE schedules (mine)")
    store = SqliteStore(path)
    assert store.schedules().schedules == []
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT mine FROM schedules").fetchall() == []


def test_what_the_user_has_added_to_an_earlier_file_stays_and_means_the_same(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript("""
            CREATE TABLE orders (id INTEGER PRIMARY KEY, job INTEGER);
            INSERT INTO orders VALUES (7, 4);
            CREATE INDEX results ON finished (result);
            CREATE VIEW done AS SELECT id, result FROM orders JOIN finished ON key = job;
            CREATE TRIGGER gone AFTER DELETE ON finished BEGIN DELETE FROM orders; END;
        """)
    store = SqliteStore(path)
    assert_all_is_there(store)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute("SELECT * FROM done").fetchall() == [(7, "42")]
        assert connection.execute("PRAGMA index_xinfo(results)").fetchall()
        assert store.drop([IDS[2]]) == 1
        assert connection.execute("SELECT * FROM orders").fetchall() == []
    store.close()


def test_a_broken_view_of_the_users_is_named_and_leaves_the_earlier_file(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE VIEW broken AS SELECT * FROM nowhere")
        store = SqliteStore(path)
        with pytest.raises(StoreUnusable, match=r"error in view broken: .*; mend or drop that"):
            store.stats()
        assert version(path) == 1
        connection.execute("DROP VIEW broken")
    assert_all_is_there(store)
    store.close()


def test_an_earlier_version_that_opens_a_migrated_file_reads_that_a_newer_one_wrote_it(path):
    store = SqliteStore(path)
    store.stats()
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        marks = "PRAGMA application_id", "PRAGMA user_version"
        found = [connection.execute(mark).fetchone()[0] for mark in marks]
    assert found == [migration.APPLICATION_ID, migration.PREFIXED]


def test_a_process_that_has_the_file_open_while_its_tables_are_renamed_is_told_once_a_call(path):
    store = SqliteStore(path)
    node = store.join("new", host="host", pid=1, lease=15)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("ALTER TABLE mainspring_jobs RENAME TO mainspring_later_jobs")
    calls = (
        lambda: store.enqueue_many([new_job()]),
        lambda: store.exchange(node, [], [want()]),
        store.stats,
    )
    for call in calls:
        with pytest.raises(
            StoreUnusable, match=r"a newer mainspring has migrated it.*restart this"
        ):
            call()
    store.close()


@pytest.mark.parametrize("old", [True, False])
def test_a_kill_in_the_middle_leaves_the_old_file_or_the_new(path, tmp_path, old):
    path = path if old else tmp_path / "new.db"
    opener = f"from mainspring.stores.sqlite import SqliteStore\nSqliteStore({str(path)!r}).stats()"
    killed = subprocess.run(
        [sys.executable, "-c", opener],
        env={"MAINSPRING_FAULT": "during_migration", "MAINSPRING_TESTING": "1"},
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert version(path) == int(old)
    store = SqliteStore(path)
    if old:
        assert_all_is_there(store)
    assert store.enqueue_many([new_job()])
    store.close()
    assert version(path) == migration.VERSION
