"""A worker of this version that runs while a newer one brings the file to its schema.

The newer version is this code with one more migration, of the kinds that a next one may have: a new
column, a new table, an index that is made anew.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from contextlib import closing

import pytest

from histories import outcomes
from mainspring import Queue
from mainspring.stores.sqlite.schema import migration

APP = """
    import time
    from mainspring import Queue

    queue = Queue(db_path="jobs.db", workers=4, durability="normal", lease=5, heartbeat=0.5)

    @queue.task
    def add(number):
        time.sleep(0.005)
        return number

    @queue.task(retries=0)
    def fail(number):
        raise ValueError("no")
"""

NEXT = """
ALTER TABLE mainspring_jobs ADD COLUMN novelty TEXT;
ALTER TABLE mainspring_finished ADD COLUMN novelty TEXT;
CREATE TABLE novelties (novelty TEXT PRIMARY KEY) STRICT;
DROP INDEX mainspring_finished_by_end;
CREATE INDEX mainspring_finished_by_end ON mainspring_finished (lane, state, ended_at);
"""


@pytest.fixture
def upgrade(tmp_path, monkeypatch):
    """Make this process a newer version."""

    def make_newer():
        folder = tmp_path / "migrations"
        shutil.copytree(migration.FOLDER, folder)
        (folder / f"{migration.VERSION + 1:04}_next.sql").write_text(NEXT)
        monkeypatch.setattr(migration, "FOLDER", folder)
        monkeypatch.setattr(migration, "VERSION", migration.VERSION + 1)

    return make_newer


def test_an_old_worker_that_runs_while_the_file_is_migrated_loses_nothing(
    make_app, start_worker, tmp_path, eventually, upgrade
):
    app = make_app(APP)
    before = app.add.map([(number,) for number in range(600)])
    old = start_worker()
    eventually(lambda: app.queue.stats()["completed"] > 50, within=30)
    app.queue.close()

    upgrade()
    with closing(Queue(db_path=tmp_path / "jobs.db", durability="normal")) as queue:
        queue.stats()
        add, fail = (queue.task(name=f"app.{name}")(print) for name in ("add", "fail"))
        during = add.map([(number,) for number in range(200)])
        later = add.using(delay=0.2).delay(7)
        failing = fail.delay(1)
        jobs = [*before, *during, later]
        eventually(lambda: queue.stats()["completed"] == len(jobs), within=60)
        eventually(lambda: failing.status == "failed", within=30)
        for job in (queue.get_job(one.id) for one in jobs):
            assert outcomes(job) == ["completed"]
        assert len(queue.nodes()) == 1

    # What was not open before says what to do.
    late = "from app import add; add.delay(1)"
    refused = subprocess.run(
        [sys.executable, "-c", late], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "a newer mainspring wrote it" in refused.stderr
    assert "upgrade mainspring" in refused.stderr

    old.send(signal.SIGTERM)
    assert old.wait() == 0
    assert "mainspring.supervision" not in old.output()  # no service of it has failed
