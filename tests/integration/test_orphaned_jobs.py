"""Running jobs whose rows name another node than the one that runs them, if any does."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing

import pytest

from mainspring.engine import consumer
from mainspring.model.job import Want

FORGED = {
    "no node": "999999",
    "the largest number": "9223372036854775807",
    "a negative number": "-1",
    "a word": "'odd'",
    "bytes": "x'ff'",
    "a node that has ended": "(SELECT min(node) FROM mainspring_nodes)",
}


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture
def queue(make_queue):
    queue = make_queue()
    ended = queue._store.join("ended", host="h", pid=1, lease=60)
    queue._store.leave(ended)
    return queue


def forge(path, node):
    """Write as somebody else does that all jobs run on that node."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE mainspring_jobs SET state = 2, claimed_at = 1, node = {node}")


@pytest.mark.parametrize("node", FORGED.values(), ids=list(FORGED))
def test_a_job_of_a_node_that_is_not_there_runs_again(queue, tmp_path, caplog, node):
    @queue.task
    def double(number):
        return 2 * number

    jobs = double.map([(1,), (2,)])
    forge(tmp_path / "jobs.db", node)
    with caplog.at_level(logging.WARNING, "mainspring"), queue.worker():
        assert [job.result(timeout=20) for job in jobs] == [2, 4]
    assert "running jobs had no live node: 2 of them run again, 0 have failed" in caplog.text
    lines = queue._store.history(jobs[0].id)
    assert [line.outcome for line in lines] == ["crashed", "completed"]
    assert lines[0].node == "unknown"


def test_a_job_of_a_live_node_that_does_not_know_of_it_runs(queue, tmp_path, monkeypatch):
    monkeypatch.setattr(consumer, "ORPHANS_SECONDS", 0.05)

    @queue.task
    def double(number):
        return 2 * number

    job = double.using(delay=3600).delay(1)
    with queue.worker():
        (node,) = queue._store.nodes()
        forge(tmp_path / "jobs.db", node.key)
        assert job.result(timeout=20) == 2


def test_the_look_for_orphans_writes_nothing_where_there_are_none(queue, tmp_path):
    store = queue._store

    @queue.task(name="t")
    def nop():
        """Do nothing."""

    nop.map([()] * 3)
    node = store.join("n", host="h", pid=1, lease=60)
    store.claim(node, [Want(("t",), None, 2)])
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as connection:
        before = connection.execute("PRAGMA data_version").fetchone()
        assert store.rescue_orphans(limit=10) is None
        assert connection.execute("PRAGMA data_version").fetchone() == before
