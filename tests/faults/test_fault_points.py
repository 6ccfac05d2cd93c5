"""kill -9 at each named point of a job's way: another worker finishes everything, recorded once."""

from __future__ import annotations

import signal

import pytest

from histories import outcomes

JOBS = 60

APP = """
    import asyncio
    from mainspring import Queue

    queue = Queue(db_path="jobs.db", workers=4, async_slots=4, durability="normal")

    @queue.task
    def thread_job(number):
        return number

    @queue.task
    async def async_job(number):
        await asyncio.sleep(0)
        return number

    @queue.task(executor="process")
    def process_job(number):
        return number
"""

WAYS = [
    ("after_claim", 0),
    ("before_body", 1),
    ("before_body:20", 1),
    ("after_body:5", 1),
    ("before_flush:3", 1),
    ("after_flush:3", 1),
]
# A body in a child process passes its points there: what dies then is the child.
OF_WORKERS = [way for way in WAYS if "body" not in way[0]]


@pytest.mark.parametrize(
    ("task", "point", "begun"),
    [(task, *way) for task in ("thread_job", "async_job") for way in WAYS]
    + [("process_job", *way) for way in OF_WORKERS],
)
def test_no_job_is_lost_or_fails_when_the_worker_is_killed_at(
    make_app, start_worker, eventually, point, begun, task
):
    app = make_app(APP)
    jobs = getattr(app, task).map([(number,) for number in range(JOBS)])
    victim = start_worker(env={"MAINSPRING_FAULT": point})
    assert victim.wait(20) == -signal.SIGKILL
    assert app.queue.stats()["completed"] < JOBS
    start_worker()
    eventually(lambda: app.queue.stats()["completed"] == JOBS, within=20)
    assert [job.result(timeout=1) for job in jobs] == list(range(JOBS))
    crashes = 0
    for job in jobs:
        *before, last = outcomes(job)
        assert last == "completed"
        assert set(before) <= {"crashed"}
        crashes += len(before)
    # One slot notes one body: no more than the slots can be charged, and nothing before a body.
    assert crashes <= 4 * begun


@pytest.mark.parametrize("point", ["before_body", "after_body"])
def test_children_that_are_killed_at_every_body_cost_no_more_than_three_crashes_a_job(
    make_app, start_worker, eventually, point
):
    app = make_app(APP)
    job = app.process_job.delay(1)
    worker = start_worker(env={"MAINSPRING_FAULT": point})
    eventually(lambda: job.status == "failed", within=40)
    assert outcomes(job) == ["crashed", "crashed", "failed"]
    assert "WorkerLost" in job.error
    worker.send(signal.SIGTERM)
    assert worker.wait(20) == 0


def test_an_attempt_whose_body_raises_at_a_point_is_a_failed_attempt(
    make_app, start_worker, eventually
):
    app = make_app(APP)
    job = app.thread_job.using(priority=1).delay(1)
    worker = start_worker(env={"MAINSPRING_FAULT": "before_body:raise"})
    eventually(lambda: job.error, within=20)
    assert "InjectedFault: before_body" in job.error
    worker.kill()


def test_a_flush_that_raises_every_time_does_not_stop_the_worker_from_stopping(
    make_app, start_worker, eventually
):
    app = make_app(APP.replace("workers=4", "workers=4, grace=0.5"))
    jobs = app.thread_job.map([(number,) for number in range(5)])
    worker = start_worker(env={"MAINSPRING_FAULT": "before_flush:raise"})
    eventually(lambda: "InjectedFault" in worker.output(), within=20)
    worker.send(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert {job.status for job in jobs} == {"pending"}


def test_a_fault_acts_in_tests_only_and_is_told_elsewhere(make_app, start_worker):
    app = make_app(APP)
    worker = start_worker(env={"MAINSPRING_FAULT": "before_body", "MAINSPRING_TESTING": ""})
    app.thread_job.delay(1).result(timeout=20)
    assert worker.output().count("MAINSPRING_FAULT=before_body is ignored") == 1
