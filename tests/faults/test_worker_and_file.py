"""A worker whose file is held by others, full, damaged or gone: it says so and loses nothing."""

from __future__ import annotations

import resource
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from mainspring.errors import StoreMigrated, StoreUnusable

JOBS = 400

APP = """
    import os
    import time
    from pathlib import Path

    from mainspring import Queue

    queue = Queue(
        db_path="jobs.db", workers=4, durability="normal", grace=5, busy_timeout=0.3,
        lease=60,
    )
    HERE = Path(__file__).parent

    def write(line):
        diary = os.open(HERE / "diary.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(diary, f"{line}\\n".encode())
        os.close(diary)

    @queue.task
    def work(number):
        write(number)
        time.sleep(0.01)
        # As large as a page: what is recorded takes room in the file.
        return [number, "x" * 4000]
"""


@pytest.fixture
def app(make_app):
    app = make_app(APP)
    app.queue.stats()
    return app


def begun(folder):
    path = folder / "diary.txt"
    return path.read_text().split() if path.exists() else []


def assert_all_are_completed_once(jobs):
    assert [job.result(timeout=1)[0] for job in jobs] == list(range(len(jobs)))
    for job in jobs:
        assert [entry.outcome for entry in job.history].count("completed") == 1
        assert [entry.outcome for entry in job.history][-1] == "completed"


def stopped(worker):
    worker.send(signal.SIGTERM)
    return worker.wait()


def test_a_worker_outlives_a_program_that_holds_the_file_for_longer_than_it_waits(
    app, start_worker, tmp_path, eventually
):
    jobs = app.work.map([(number,) for number in range(JOBS)])
    other = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None, timeout=20)
    worker = start_worker()
    for told in (1, 2, 3):
        eventually(lambda told=told: len(begun(tmp_path)) > 30 * told, within=20)
        other.execute("BEGIN IMMEDIATE")
        eventually(lambda told=told: worker.output().count("outside mainspring") >= told, within=20)
        other.execute("COMMIT")
        assert app.queue.stats()["completed"] < JOBS
    other.close()
    eventually(lambda: app.queue.stats()["completed"] == JOBS, within=30)
    assert_all_are_completed_once(jobs)
    assert stopped(worker) == 0


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
def test_a_worker_outlives_a_full_disk(app, start_worker, tmp_path, eventually):
    worker = start_worker()
    eventually(app.queue.nodes, within=20)
    pid = worker.process.pid
    # The kernel's own no to this process, as a full disk's is; its log is smaller than this.
    most = (tmp_path / "jobs.db-wal").stat().st_size + 200_000
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, hard))
    jobs = app.work.map([(number,) for number in range(JOBS)])
    eventually(lambda: "StoreUnusable" in worker.output(), within=20)
    ran = len(begun(tmp_path))
    assert app.queue.stats()["completed"] < JOBS
    assert "free some space" in worker.output() or "check the disk" in worker.output()
    assert worker.process.poll() is None
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    eventually(lambda: app.queue.stats()["completed"] == JOBS, within=30)
    assert_all_are_completed_once(jobs)
    # What had ended when the disk was full was kept and recorded, not run again.
    assert ran > 0
    assert sorted(map(int, begun(tmp_path))) == list(range(JOBS))
    assert stopped(worker) == 0


@pytest.mark.parametrize("replaced", [False, True])
def test_a_worker_whose_file_was_deleted_or_replaced_says_so_and_stops_when_asked(
    app, start_worker, tmp_path, eventually, replaced
):
    jobs = app.work.map([(number,) for number in range(5)])
    worker = start_worker()
    for job in jobs:
        job.result(timeout=20)
    for name in ("jobs.db", "jobs.db-wal", "jobs.db-shm"):
        (tmp_path / name).rename(tmp_path / f"old {name}")
    if replaced:
        (tmp_path / "jobs.db").touch()
    eventually(lambda: "it was deleted or replaced" in worker.output(), within=20)
    with pytest.raises(StoreUnusable, match="it was deleted or replaced; restart this program"):
        app.work.delay(5)
    assert stopped(worker) == 2
    last = worker.output().splitlines()[-1]
    assert last.startswith("mainspring: error: ")
    assert last.endswith("it was deleted or replaced; restart this program")
    assert "Traceback" not in worker.output(), "its sentence says it all"
    # Nothing was written to the name that is another's, and nothing acknowledged was lost.
    assert (tmp_path / "jobs.db").exists() == replaced
    assert not replaced or (tmp_path / "jobs.db").stat().st_size == 0
    old = sqlite3.connect(tmp_path / "old jobs.db")
    assert old.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert old.execute("SELECT count(*) FROM mainspring_finished").fetchone() == (5,)
    old.close()


def renamed(folder, old, new):
    """Rename the tables of ours, as a newer version might."""
    with closing(sqlite3.connect(folder / "jobs.db", isolation_level=None)) as newer:
        newer.execute("PRAGMA wal_autocheckpoint = 0")
        newer.execute("BEGIN IMMEDIATE")
        for table in ("jobs", "finished", "nodes"):
            newer.execute(f"ALTER TABLE {old}_{table} RENAME TO {new}_{table}")
        newer.execute("COMMIT")


def test_a_worker_whose_tables_a_newer_version_has_renamed_says_so_once_and_loses_nothing(
    app, start_worker, tmp_path, eventually
):
    jobs = app.work.map([(number,) for number in range(JOBS)])
    worker = start_worker()
    eventually(lambda: len(begun(tmp_path)) > 30, within=20)
    renamed(tmp_path, "mainspring", "later")
    for _ in range(2):
        with pytest.raises(StoreMigrated, match="restart this program with the newer version"):
            app.work.delay(5)
    eventually(lambda: "a newer mainspring has migrated" in worker.output(), within=30)
    assert stopped(worker) == 2
    said = [line for line in worker.output().splitlines() if "a newer mainspring has" in line]
    assert len(said) == 2  # once in the log, and at the end
    assert "Traceback" not in worker.output()
    renamed(tmp_path, "later", "mainspring")
    start_worker()
    eventually(lambda: app.queue.stats()["completed"] == JOBS, within=30)
    assert_all_are_completed_once(jobs)


FORKING = """
import os
import sys

import app

ids = [job.id for job in app.work.map([(0,), (1,)])]
with app.queue.worker():
    # The queue is open, its worker's threads write: a child begins with all of that in its memory.
    for number in range(2, 12):
        app.work.delay(100 + number)
        child = os.fork()
        if child == 0:
            try:
                app.work.delay(number)
                os._exit(0)
            except BaseException:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        assert status == 0, status
    last = app.work.delay(999)
    assert last.result(timeout=20)[0] == 999
app.queue.close()
print("ended")
"""


def test_a_program_that_forks_with_an_open_queue_and_a_worker_loses_no_job(
    app, start_worker, tmp_path, eventually
):
    parent = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (parent.stdout, parent.returncode) == ("ended\n", 0), parent.stderr
    start_worker()
    eventually(lambda: app.queue.stats()["completed"] == 23, within=20)
    assert len(begun(tmp_path)) == 23
    connection = sqlite3.connect(tmp_path / "jobs.db")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_worker_says_that_a_page_is_damaged_and_stops_when_asked(
    app, start_worker, tmp_path, eventually
):
    for _ in range(20):
        app.work.map([(number,) for number in range(500)])
    app.queue.close()
    connection = sqlite3.connect(tmp_path / "jobs.db")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    (page,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'mainspring_jobs'"
    ).fetchone()
    connection.close()
    with (tmp_path / "jobs.db").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\x00" * 4096)
    worker = start_worker()
    eventually(lambda: "restore it from a backup" in worker.output(), within=20)
    assert worker.process.poll() is None
    assert stopped(worker) == 0
    assert begun(tmp_path) == []
