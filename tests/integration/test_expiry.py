"""Jobs that came too late to start, and how long the others are kept."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mainspring import JobCancelled, JobExpired, JobState
from mainspring.engine.upkeep.retention import Expirer
from mainspring.model.job import NewJob


@pytest.fixture
def queue(make_queue):
    return make_queue(workers=1)


def enqueue(queue, task, *, expires):
    job = NewJob(task, "default", b"[[],{}]", expires=expires)
    return queue.get_job(queue._store.enqueue_many([job])[0])


def test_a_job_that_expired_never_runs_and_says_so(queue):
    ran = []
    queue.task(name="note")(lambda: ran.append(1))
    jobs = [enqueue(queue, "note", expires=0.0) for _ in range(600)]
    fresh = enqueue(queue, "note", expires=60)
    with queue.worker():
        for job in jobs:
            with pytest.raises(JobExpired, match="expiry passed"):
                job.result(timeout=20)
        fresh.result(timeout=20)
    assert ran == [1]
    assert {job.status for job in jobs} == {JobState.CANCELLED}


def test_a_job_that_was_cancelled_is_no_expired_one(queue):
    queue.task(name="note")(lambda: None)
    job = enqueue(queue, "note", expires=60)
    assert queue._store.cancel([job.id]) == [True]
    with pytest.raises(JobCancelled) as caught:
        job.result(timeout=5)
    assert type(caught.value) is JobCancelled


def test_what_nobody_claims_expires_all_the_same(queue):
    jobs = [enqueue(queue, "unknown", expires=0.0) for _ in range(Expirer.BATCH + 1)]
    stays = enqueue(queue, "unknown", expires=60)
    Expirer(queue._store).expire()
    assert {job.status for job in jobs} == {JobState.CANCELLED}
    assert stays.status == JobState.PENDING


def test_a_worker_looks_for_what_has_expired(queue, monkeypatch, eventually):
    monkeypatch.setattr("mainspring.engine.consumer.EXPIRE_SECONDS", 0.01)
    queue.task(name="note")(lambda: None)
    with queue.worker():
        job = enqueue(queue, "unknown", expires=0.05)
        eventually(lambda: job.status == JobState.CANCELLED)


@pytest.mark.parametrize(("keep", "stays"), [(0, False), (timedelta(days=2), True), (None, False)])
def test_a_result_is_kept_as_long_as_its_task_says(make_app, keep, stays):
    app = make_app(
        f"""
        import datetime
        from mainspring import Queue
        queue = Queue("memory://", workers=1, grace=5)

        @queue.task(keep_result={keep!r})
        def thread(): pass

        @queue.task(keep_result={keep!r})
        async def coroutine(): pass

        @queue.task(keep_result={keep!r}, executor="process")
        def child(): pass
        """
    )
    with app.queue.worker():
        jobs = [task.delay() for task in (app.thread, app.coroutine, app.child)]
        for job in jobs:
            job.result(timeout=20)
        # As the purger says for all others: nothing is kept.
        app.queue._store.purge(completed_after=0.0, failed_after=0.0, limit=10)
    assert [app.queue.get_job(job.id) is not None for job in jobs] == [stays] * 3


def test_a_result_to_be_dropped_soon_goes_though_others_stay(queue):
    queue.task(name="passing", keep_result=0)(lambda: None)
    queue.task(name="lasting")(lambda: None)
    passing, lasting = (enqueue(queue, name, expires=None) for name in ("passing", "lasting"))
    with queue.worker():
        lasting.result(timeout=10)
    queue._store.purge(completed_after=86_400, failed_after=86_400, limit=10)
    assert queue.get_job(passing.id) is None
    assert queue.get_job(lasting.id) is not None
