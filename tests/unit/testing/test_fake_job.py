"""A body that is called by hand, with a job that is none."""

from __future__ import annotations

import asyncio

import pytest

from mainspring import JobCancelled, current_job
from mainspring.errors import InvalidOption, NotRunning
from mainspring.testing import fake_job


def test_the_job_is_as_the_test_says():
    with fake_job("shop.pay", id="7-00000001", queue="mail", attempt=3, crashes=1):
        assert (current_job.task, current_job.id) == ("shop.pay", "7-00000001")
        assert (current_job.queue, current_job.attempt, current_job.crashes) == ("mail", 3, 1)
        assert current_job.idempotency_key
    with pytest.raises(NotRunning):
        current_job.id  # noqa: B018  # that it raises is all


def test_the_job_has_tags_and_metadata():
    with fake_job(tags=["eu"], metadata={"order": 17}):
        assert (current_job.tags, current_job.metadata) == (("eu",), {"order": 17})
        current_job.metadata["order"] = 18
        assert current_job.metadata == {"order": 17}
    with fake_job():
        assert (current_job.tags, current_job.metadata) == ((), {})
    with pytest.raises(InvalidOption, match=r"fake_job\(\): tags="):
        fake_job(tags="eu")


def test_what_the_body_says_is_kept():
    with fake_job() as job:
        assert (job.progress, job.message, job.log) == (0.0, "", [])
        current_job.progress(0.5, "half")
        current_job.log("line")
        current_job.log(2)
    assert (job.progress, job.message, job.log) == (0.5, "half", ["line", "2"])


def test_the_body_may_be_cancelled_and_the_worker_stopped():
    with fake_job() as job:
        current_job.check_cancelled()
        assert not current_job.shutdown_requested
        job.cancel()
        job.request_shutdown()
        assert current_job.shutdown_requested
        with pytest.raises(JobCancelled):
            current_job.check_cancelled()


def test_a_job_completed_in_a_transaction_tells_with_what():
    with fake_job() as job:
        current_job.complete_in("connection", 7)
    assert job.completed_in == ("connection", 7)


def test_a_coroutine_has_it_too():
    async def body():
        await asyncio.to_thread(current_job.log, "from a thread")
        return current_job.attempt

    async def test():
        with fake_job(attempt=2) as job:
            assert await body() == 2
        assert job.log == ["from a thread"]

    asyncio.run(test())


@pytest.mark.parametrize("attempt", [0, -1, "1", True])
def test_an_attempt_that_makes_no_sense_is_refused(attempt):
    with pytest.raises(InvalidOption, match="attempt"):
        fake_job(attempt=attempt)
