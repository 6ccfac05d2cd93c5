"""kill -9 amid what a job is besides a call: its key, tick, cancelling, own commit, words.

Each test kills a whole worker process at a named place and lets another one finish.
"""

from __future__ import annotations

import signal
import sqlite3
from datetime import timedelta

import pytest

from histories import outcomes

APP = """
    import asyncio
    import os
    import signal
    import sqlite3
    from pathlib import Path

    from mainspring import Queue, current_job

    queue = Queue(db_path="jobs.db", workers=2, durability="normal", grace=5)
    HERE = Path(__file__).parent

    def write(line):
        diary = os.open(HERE / "diary.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(diary, f"{line}\\n".encode())
        os.close(diary)

    def perhaps_die(place):
        if os.environ.get("DIE") == place:
            os.kill(os.getpid(), signal.SIGKILL)

    @queue.task
    def thread_job(number):
        write(f"begin {number}")
        return number

    @queue.task
    async def async_job(number):
        write(f"begin {number}")
        return number

    @queue.task
    async def wait_for_ever():
        write("begin wait")
        await asyncio.sleep(600)

    def complete_in_mine(number):
        write(f"begin {number}")
        mine = sqlite3.connect(HERE / "jobs.db", isolation_level=None)
        mine.execute("BEGIN IMMEDIATE")
        mine.execute("INSERT INTO mine VALUES (?)", (number,))
        current_job.complete_in(mine, f"mine {number}")
        perhaps_die("before the commit")
        mine.execute("COMMIT")
        perhaps_die("after the commit")
        mine.close()

    @queue.task
    def thread_complete(number):
        complete_in_mine(number)

    @queue.task
    async def async_complete(number):
        complete_in_mine(number)

    async def speak_twice():
        current_job.progress(0.5, f"half way of {os.getpid()}")
        current_job.log("first line")
        write(f"spoke {os.getpid()}")
        while not (HERE / "heard").exists():
            await asyncio.sleep(0.005)
        perhaps_die("having spoken")
        current_job.log("last line")

    @queue.task
    async def async_speak():
        await speak_twice()

    @queue.task
    def thread_speak():
        asyncio.run(speak_twice())
"""

TICKING = """
    import os
    import signal

    from mainspring import Queue
    from mainspring.model.events import ScheduleTicked

    queue = Queue(db_path="jobs.db", workers=2, durability="normal", grace=5)

    @queue.every(0.1, name="fast", catch_up="all")
    def tick():
        pass

    ticks = 0

    def die_after_the_third(event):
        global ticks
        ticks += isinstance(event, ScheduleTicked)
        if ticks == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    if os.environ.get("DIE") == "after the tick":
        queue.subscribe(die_after_the_third, "schedule_ticked", inline=True)
"""


def diary(folder):
    path = folder / "diary.txt"
    return path.read_text().splitlines() if path.exists() else []


def killed(worker):
    """Wait until a worker has been killed at its fault point."""
    assert worker.wait(30) == -signal.SIGKILL, worker.output()


@pytest.fixture
def app(make_app):
    app = make_app(APP)
    app.queue.stats()
    return app


@pytest.fixture
def mine(app, tmp_path):
    """The user's own table, in the same file as the jobs."""
    connection = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    connection.execute("CREATE TABLE mine (number INTEGER)")
    yield lambda: [number for (number,) in connection.execute("SELECT number FROM mine")]
    connection.close()


@pytest.mark.parametrize("task", ["thread_job", "async_job"])
@pytest.mark.parametrize("point", ["after_claim", "before_body", "after_body"])
def test_a_unique_key_outlives_the_worker_that_was_killed_and_is_freed_once(
    app, start_worker, point, task
):
    keyed = getattr(app, task).using(unique="key")
    job = keyed.delay(1)
    killed(start_worker(env={"MAINSPRING_FAULT": point}))
    assert job.status == "running"
    assert keyed.delay(2).id == job.id
    start_worker()
    assert job.result(timeout=20) == 1
    following = keyed.delay(3)
    assert following.id != job.id
    assert following.result(timeout=20) == 3
    stats = app.queue.stats()
    assert (stats["completed"], stats["pending"], stats["running"]) == (2, 0, 0)


def test_a_unique_key_is_free_if_its_job_was_recorded_before_the_kill(
    app, start_worker, tmp_path, eventually
):
    keyed = app.thread_job.using(unique="key")
    victim = start_worker()
    eventually(app.queue.nodes, within=20)
    job = keyed.delay(1)
    eventually(lambda: job.status == "completed", within=20)
    victim.kill()
    following = keyed.delay(2)
    assert following.id != job.id
    start_worker()
    assert following.result(timeout=20) == 2
    assert diary(tmp_path) == ["begin 1", "begin 2"]


@pytest.mark.parametrize(
    "how",
    [{"MAINSPRING_FAULT": "during_tick:3"}, {"DIE": "after the tick"}],
    ids=["during", "after"],
)
def test_a_scheduler_that_is_killed_at_a_tick_leaves_one_job_for_each_tick(
    make_app, start_worker, eventually, how
):
    app = make_app(TICKING)
    killed(start_worker(env=how))

    def made():
        (schedule,) = app.queue._store.schedules().schedules
        ticks = (schedule.last_tick - schedule.anchor) // timedelta(seconds=0.1)
        stats = app.queue.stats()
        return ticks, sum(stats[state] for state in ("pending", "running", "completed"))

    ticks, jobs = made()
    assert ticks == jobs
    assert jobs >= (2 if "MAINSPRING_FAULT" in how else 3)
    other = start_worker()
    eventually(lambda: app.queue.stats()["completed"] >= jobs + 10, within=20)
    other.send(signal.SIGTERM)
    assert other.wait() == 0
    ticks, jobs = made()
    assert ticks == jobs


@pytest.mark.parametrize("task", ["thread_job", "async_job"])
@pytest.mark.parametrize("point", ["after_claim", "before_body", "after_body"])
def test_a_job_cancelled_after_its_worker_was_killed_never_runs_again(
    app, start_worker, tmp_path, point, task
):
    job = getattr(app, task).delay(1)
    killed(start_worker(env={"MAINSPRING_FAULT": point}))
    begun = diary(tmp_path)
    assert job.cancel()
    start_worker()
    assert app.thread_job.delay(2).result(timeout=20) == 2
    assert job.status == "cancelled"
    assert diary(tmp_path) == [*begun, "begin 2"]


def test_a_job_cancelled_while_its_worker_could_not_hear_never_runs_again(
    app, start_worker, stop, tmp_path, eventually
):
    victim = start_worker()
    job = app.wait_for_ever.delay()
    eventually(lambda: diary(tmp_path), within=20)
    stop(victim)
    assert job.cancel()
    assert job.status == "running"
    victim.kill()
    start_worker()
    eventually(lambda: job.status == "cancelled", within=20)
    assert app.thread_job.delay(2).result(timeout=20) == 2
    assert diary(tmp_path) == ["begin wait", "begin 2"]
    assert app.queue.stats()["cancelled"] == 1


@pytest.mark.parametrize("task", ["thread_complete", "async_complete"])
@pytest.mark.parametrize(
    "how",
    [{"DIE": "after the commit"}, {"MAINSPRING_FAULT": "after_body"}],
    ids=["in the body", "before the flush"],
)
def test_a_job_that_was_committed_with_its_writes_is_not_run_again_after_a_kill(
    app, mine, start_worker, tmp_path, task, how
):
    job = getattr(app, task).delay(1)
    killed(start_worker(env=how))
    assert (mine(), job.status) == ([1], "completed")
    start_worker()
    assert app.thread_job.delay(2).result(timeout=20) == 2
    assert job.result(timeout=1) == "mine 1"
    assert diary(tmp_path) == ["begin 1", "begin 2"]
    assert mine() == [1]
    assert outcomes(job) == ["completed"]


@pytest.mark.parametrize("task", ["thread_complete", "async_complete"])
def test_a_job_killed_before_its_own_commit_runs_again_and_its_writes_are_there_once(
    app, mine, start_worker, tmp_path, task
):
    job = getattr(app, task).delay(1)
    killed(start_worker(env={"DIE": "before the commit"}))
    assert (mine(), job.status) == ([], "running")
    start_worker()
    assert job.result(timeout=20) == "mine 1"
    assert diary(tmp_path) == ["begin 1", "begin 1"]
    assert mine() == [1]
    assert outcomes(job) == ["crashed", "completed"]


@pytest.mark.parametrize("task", ["thread_speak", "async_speak"])
def test_what_a_job_said_more_than_a_moment_before_the_kill_is_kept(
    app, start_worker, tmp_path, eventually, task
):
    job = getattr(app, task).delay()
    victim = start_worker(env={"DIE": "having spoken"})
    eventually(lambda: job.progress == 0.5, within=20)
    assert job.message == f"half way of {victim.process.pid}"
    eventually(lambda: job.log, within=20)
    (tmp_path / "heard").touch()
    killed(victim)
    other = start_worker()
    job.result(timeout=20)
    assert job.message == f"half way of {other.process.pid}"
    assert [(line.number, line.text) for line in job.log] == [
        (1, "first line"),
        (2, "first line"),
        (2, "last line"),
    ]
    assert outcomes(job) == ["crashed", "completed"]
