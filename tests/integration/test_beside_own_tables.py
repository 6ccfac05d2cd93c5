"""One file for the user's tables and ours: theirs stay as they are, to the byte."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import closing

import httpx
import pytest

from forged_store import broken, everything, make_queue, seed
from mainspring.cli.main import main
from mainspring.stores.sqlite import SqliteStore
from mainspring.stores.sqlite.schema import migration
from mainspring.web import dashboard

# Each name is one that ours had in earlier versions.
SHOP = """
PRAGMA foreign_keys = ON;
CREATE TABLE nodes (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  title TEXT,
  node INTEGER REFERENCES nodes (id) ON DELETE CASCADE
);
CREATE TABLE log (at TEXT, line TEXT, job INTEGER REFERENCES jobs (id) ON DELETE CASCADE);
CREATE TABLE schedules (name TEXT PRIMARY KEY, rule TEXT) WITHOUT ROWID;
CREATE INDEX line ON log (line);
CREATE VIEW finished AS SELECT title FROM jobs JOIN nodes ON nodes.id = jobs.node;
CREATE TRIGGER logged AFTER INSERT ON jobs BEGIN
  INSERT INTO log VALUES ('then', 'new job ' || new.title, new.id);
END;
INSERT INTO nodes VALUES (1, 'mine');
INSERT INTO jobs (title, node) VALUES ('clerk', 1), ('baker', 1);
INSERT INTO schedules VALUES ('s1', 'mine');
PRAGMA user_version = 5;
"""
PAGES = ("/", "/jobs", "/failures", "/queues", "/schedules", "/nodes")
TABLES = ("nodes", "jobs", "log", "schedules", "finished")
THEIRS = """
SELECT * FROM sqlite_master
WHERE tbl_name NOT GLOB 'mainspring_*' AND name <> 'sqlite_sequence' ORDER BY rowid
"""
MARKS = ("PRAGMA user_version", "PRAGMA application_id")
SEQUENCE = "SELECT * FROM sqlite_sequence WHERE name NOT GLOB 'mainspring_*'"


def shop_of(path):
    """Return all that is the user's in a file."""
    with closing(sqlite3.connect(path)) as connection:
        asked = [THEIRS, SEQUENCE, *MARKS, *(f"SELECT * FROM {name}" for name in TABLES)]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return {text: connection.execute(text).fetchall() for text in asked}


def names_of(path):
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT type, name FROM sqlite_master ORDER BY name").fetchall()
    return [row for row in rows if not row[1].startswith("sqlite_")]


async def looks_at_dashboard(queue):
    app = dashboard(queue, authorize=lambda _request: "operator")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answers = [await client.get(page) for page in PAGES]
    return {answer.status_code for answer in answers}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SHOP)
    path.chmod(0o600)
    return path


@pytest.fixture
def url(path):
    return f"sqlite:///{path}"


@pytest.fixture
def queue(url):
    queue = make_queue(url)
    yield queue
    queue.close()


def test_whatever_the_queue_does_the_users_part_stays_as_it_is(path, url, queue):
    before = shop_of(path)
    seed(queue.store, rows=8)
    assert broken(everything(queue, url)) == {}
    assert asyncio.run(looks_at_dashboard(queue)) == {200}
    queue.store.purge(completed_after=0, failed_after=0, limit=1000)
    queue.migrate()
    assert shop_of(path) == before


def test_a_row_of_the_users_and_a_job_hold_together_or_not_at_all(path, queue):
    queue.stats()
    task = queue.get_task("ready")
    with closing(sqlite3.connect(path)) as connection:
        with connection:
            connection.execute("INSERT INTO jobs (title, node) VALUES ('cook', 1)")
            kept = task.using(conn=connection).delay(1)
        connection.execute("INSERT INTO jobs (title, node) VALUES ('thief', 1)")
        lost = task.using(conn=connection).delay(1)
        connection.rollback()
        found = connection.execute("SELECT line FROM log ORDER BY rowid DESC").fetchone()
    assert found == ("new job cook",)
    assert kept.status == "pending"
    assert queue.get_job(lost.id) is None


def test_all_that_is_added_has_our_prefix(path, queue):
    theirs = names_of(path)
    queue.stats()
    added = [name for kind, name in names_of(path) if (kind, name) not in theirs]
    assert len(added) > 20
    assert [name for name in added if not name.startswith("mainspring_")] == []


@pytest.mark.parametrize(
    ("application_id", "user_version"),
    [(77, 5), *((migration.APPLICATION_ID, version) for version in (0, 1, 6, 7, 99))],
)
def test_no_mark_of_the_users_makes_their_jobs_ours(path, application_id, user_version):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {application_id}")
        connection.execute(f"PRAGMA user_version = {user_version}")
    before = shop_of(path)
    for _ in range(2):
        store = SqliteStore(path)
        assert store.stats() == {}
        store.close()
    assert shop_of(path) == before


def test_the_users_own_migrations_go_on_beside_ours(path, queue):
    queue.stats()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE jobs ADD COLUMN wage INTEGER")
        connection.execute("DROP TABLE schedules")
        connection.execute("PRAGMA user_version = 9")
    queue.close()
    assert queue.enqueue("ready", (1,)).status == "pending"


def test_in_a_file_of_ours_the_users_marks_are_free(tmp_path):
    store = SqliteStore(tmp_path / "jobs.db")
    store.stats()
    store.close()
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as connection:
        assert [connection.execute(mark).fetchone() for mark in MARKS] == [(0,), (0,)]


def test_that_our_tables_are_added_to_anothers_file_is_a_line_in_the_log(path, queue, caplog):
    caplog.set_level(logging.INFO, logger="mainspring.stores")
    queue.stats()
    queue.close()
    queue.stats()
    said = [one.getMessage() for one in caplog.records if "added its tables" in one.getMessage()]
    assert said == [
        f"{path} was another program's file: mainspring has added its tables, named mainspring_..."
    ]


def test_doctor_says_that_a_file_has_none_of_our_tables_and_adds_none(path, url, capsys):
    before = path.read_bytes()
    assert main(["doctor", "--url", url]) == 1
    assert "without tables of mainspring" in capsys.readouterr().out
    assert path.read_bytes() == before


def test_without_auto_migrate_not_even_the_journal_mode_changes(path, url):
    before = path.read_bytes()
    queue = make_queue(url)
    queue.configure(auto_migrate=False)
    with pytest.raises(Exception, match="its tables are missing, and auto_migrate is off"):
        queue.stats()
    assert path.read_bytes() == before
