"""A file that is there already: its tables are not touched, nor its journal mode, if asked so."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mainspring import Queue
from mainspring.errors import InvalidOption, StoreUnusable
from mainspring.stores.sqlite.schema import migration


@pytest.fixture
def path(tmp_path):
    return tmp_path / "jobs.db"


@pytest.fixture
def make(path):
    queues = []

    def make(**options):
        queues.append(Queue(db_path=path, workers=2, durability="normal", **options))
        return queues[-1]

    yield make
    for queue in queues:
        queue.close()


def add(a, b):
    return a + b


def mode_of(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA journal_mode").fetchone()[0]


def in_mode(path, mode, make):
    """Make a file of ours in another journal mode."""
    queue = make()
    queue.stats()
    queue.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(f"PRAGMA journal_mode = {mode}").fetchone() == (mode,)


def lines(caplog):
    return [one.getMessage() for one in caplog.records if one.name == "mainspring.stores"]


def test_without_auto_migrate_a_file_without_tables_is_refused_with_the_command(make, path):
    queue = make(auto_migrate=False)
    task = queue.task(name="add")(add)
    Path(path).touch(0o600)
    said = f"its tables are missing, and auto_migrate is off.*mainspring migrate --db {path}"
    for _ in range(2):
        with pytest.raises(StoreUnusable, match=said):
            task.delay(1, 2)
    queue.migrate()
    assert task.delay(1, 2).status == "pending"


def test_without_auto_migrate_a_file_that_is_not_there_is_not_made(make, path):
    queue = make(auto_migrate=False)
    task = queue.task(name="add")(add)
    for _ in range(2):
        with pytest.raises(StoreUnusable, match=r"no such file.*queue\.migrate\(\)"):
            task.delay(1, 2)
    assert not Path(path).exists()
    queue.migrate()
    assert task.delay(1, 2).status == "pending"


def test_without_auto_migrate_a_file_of_an_earlier_version_is_left_as_it_is(make, path):
    with closing(sqlite3.connect(path)) as connection:
        for statement in migration.statements_of(1):
            connection.execute(statement.replace("mainspring_", ""))
        connection.execute(f"PRAGMA application_id = {migration.APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match="its tables are of schema 1, and this version needs"):
        make(auto_migrate=False).stats()
    assert path.read_bytes() == before


def test_a_file_of_this_version_needs_no_migration(make):
    make().stats()
    assert make(auto_migrate=False).stats()["pending"] == 0


def test_a_file_in_another_journal_mode_is_changed_with_one_line_that_says_so(make, path, caplog):
    in_mode(path, "delete", make)
    make().stats()
    (line,) = lines(caplog)
    assert line.startswith(f"{path} was in journal mode delete and is in WAL now")
    assert f"{path}-wal" in line
    assert mode_of(path) == "wal"


def test_a_new_file_and_one_of_ours_are_no_news(make, caplog):
    for _ in range(2):
        queue = make()
        queue.stats()
        queue.close()
    assert lines(caplog) == []


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist"])
def test_without_wal_a_file_keeps_its_mode_and_runs_jobs(make, path, caplog, mode):
    in_mode(path, "delete", make)
    queue = make(wal=False)
    task = queue.task(name="add")(add)
    if mode != "delete":  # these are of a connection, not of the file
        queue._client.store._session.writer.run(f"PRAGMA journal_mode = {mode}", ())
    with queue.worker():
        assert queue.gather(task.map([(n, 1) for n in range(50)]), timeout=60) == [*range(1, 51)]
    (line,) = lines(caplog)
    assert line.startswith(f"{path} stays in journal mode delete, as wal=False asks: each commit")
    queue.close()
    queue.migrate()  # by a connection of its own
    assert mode_of(path) == "delete"
    assert len(lines(caplog)) == 1


def test_without_wal_commits_wait_for_the_disk(make, path):
    queue = make(wal=False)
    queue.stats()
    found = queue._client.store._session.writer.run("PRAGMA synchronous", ()).fetchone()
    assert found == (2,)


def test_without_wal_a_file_in_that_mode_stays_there(make, path, caplog):
    make().stats()
    make(wal=False).stats()
    assert (mode_of(path), lines(caplog)) == ("wal", [])


@pytest.mark.parametrize(
    "url", ["postgresql://user@host/db", "redis://host:6379/0", "rediss://host", "unix:///socket"]
)
def test_without_wal_a_servers_url_is_refused(url):
    with pytest.raises(InvalidOption, match="wal=False is for SQLite files, and this URL names a"):
        Queue(url, wal=False)


def test_a_test_in_memory_may_keep_the_option_of_its_file():
    with closing(Queue("memory://", wal=False)) as queue:
        assert queue.stats()["pending"] == 0


@pytest.mark.parametrize("option", ["wal", "auto_migrate"])
def test_both_are_flags_and_may_be_given_late(make, option, path):
    with pytest.raises(InvalidOption, match=f"{option}='no'"):
        make(**{option: "no"})
    queue = Queue()
    queue.configure(db_path=path, **{option: False})
    with pytest.raises(InvalidOption, match=option):
        queue.configure(**{option: None})


def test_an_automatic_migration_that_is_off_is_off_on_a_server_too(postgres_url):
    queue = Queue(postgres_url, auto_migrate=False)
    with pytest.raises(StoreUnusable, match="auto_migrate is off"):
        queue.stats()
    queue.migrate()
    assert queue.stats()["pending"] == 0
    queue.close()
