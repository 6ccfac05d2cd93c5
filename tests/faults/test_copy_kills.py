"""kill -9 in the middle of `mainspring copy`: the next one ends it, and nothing is there twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing

import pytest

from mainspring import Queue
from mainspring.model.view import JobFilter
from mainspring.queue.comparison import FIRST_PAGE
from mainspring.testing.contracts.cases import enqueue, new_job

JOBS = 100


@pytest.fixture
def source(tmp_path):
    """A queue in a file with jobs of some pages, schedules and a pause."""
    queue = Queue(db_path=tmp_path / "source.db", durability="normal")
    queue.store.enqueue_many([new_job(queue=f"q{number % 3}") for number in range(JOBS - 1)])
    enqueue(queue.store, unique="a", idempotency_key="b")
    queue.schedules.add("hourly", "task", every=3600)
    queue.pause("q1")
    yield queue
    queue.close()


def copy(source, url, fault=None):
    """Run the command, killed at a point if one is given; return its exit code and output."""
    point = {"MAINSPRING_FAULT": fault, "MAINSPRING_TESTING": "1"} if fault else {}
    done = subprocess.run(
        [sys.executable, "-m", "mainspring", "copy", source.url, url],
        env={**os.environ, **point},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("kind", "point"),
    [("sqlite", "during_import:2"), ("postgres", "during_import:2"), ("redis", "after_import:2")],
)
def test_a_copy_that_was_killed_is_ended_by_the_next_and_doubles_nothing(
    request, tmp_path, source, kind, point
):
    fixtures = {"postgres": "postgres_url", "redis": "namespace_url"}
    is_file = kind == "sqlite"
    url = f"sqlite:///{tmp_path}/to.db" if is_file else request.getfixturevalue(fixtures[kind])
    code, said = copy(source, url, point)
    assert code == -signal.SIGKILL, said
    with closing(Queue(url)) as target:
        there = len(target.store.jobs(JobFilter(), limit=1000))
        assert there in (FIRST_PAGE, 3 * FIRST_PAGE)
        code, said = copy(source, url)
        assert code == 0, said
        assert f"copied now: {JOBS - there} jobs" in said
        ids = [job.id for job in source.store.jobs(JobFilter(), limit=1000)]
        assert [job.id for job in target.store.jobs(JobFilter(), limit=1000)] == ids
        assert target.paused() == ["q1"]
