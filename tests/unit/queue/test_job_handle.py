"""A job in the caller's hand, over a client made by hand: what is read, and what is raised."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest

from mainspring import JobHandle, JobState
from mainspring.errors import InvalidOption, JobCancelled, JobFailed, JobGone, StoreUnusable
from mainspring.model.codec import JsonCodec
from mainspring.model.job import Ended, Failure
from mainspring.model.view import JobRecord
from mainspring.queue.job_handle import RemoteError

FAILURE = Failure("builtins.ValueError", "no luck", "Traceback…\nValueError: no luck")


class QueueClient:
    """A client whose one job ends when a test says so."""

    def __init__(self):
        self.codec = JsonCodec(limit_bytes=1 << 20)
        self.errors = {}
        self.reads = 0
        self.state = JobState.PENDING
        self.there = True
        self.told = None
        self.waiting = []
        self.asked = []

    def get(self, job_id):
        self.reads += 1
        now = datetime.now(UTC)
        payload = self.codec.encode_call("t", (1,), {"b": 2})
        if self.there:
            return JobRecord(1, job_id, "t", "q", 3, self.state, payload, 0, 0, now, now)
        return None

    def history(self, job_id):
        return []

    def wait(self, job_id, timeout):
        self.asked.append(timeout)
        return self.told

    async def off_loop(self, call):
        return await asyncio.to_thread(call)

    def subscribe(self, job_id, tell):
        self.waiting.append(tell)
        if not self.there:
            tell(JobGone(job_id))
        return lambda: self.waiting.remove(tell)

    def end(self, state, result=None, failure=None):
        self.state = state
        self.told = Ended(1, "t", state, result, failure)
        for tell in list(self.waiting):
            tell(self.told)


@pytest.fixture
def client():
    return QueueClient()


@pytest.fixture
def job(client):
    return JobHandle(client, "1-x", "t")


def test_each_field_reads_the_store_once(client, job):
    for read, field in enumerate(("status", "queue", "priority", "args", "kwargs", "error"), 1):
        getattr(job, field)
        assert client.reads == read
    assert (job.id, job.task, repr(job)) == ("1-x", "t", "<JobHandle 1-x of t>")
    assert client.reads == 6


def test_handles_of_one_job_are_equal(client, job):
    assert job == JobHandle(client, "1-x", "t")
    assert job != JobHandle(client, "2-x", "t")
    assert job != "1-x"
    assert len({job, JobHandle(client, "1-x", "t")}) == 1


@pytest.mark.parametrize("result", [b"5", b"null", None, b"[1,2]"])
def test_a_completed_job_gives_its_result(client, job, result):
    client.end(JobState.COMPLETED, result)
    expected = client.codec.decode_result(result or b"null")
    assert job.result(timeout=3) == expected
    assert client.asked == [3]
    assert client.reads == 0


@pytest.mark.parametrize(
    ("state", "kind", "says"),
    [
        (JobState.FAILED, JobFailed, "failed: ValueError: no luck"),
        (JobState.CANCELLED, JobCancelled, "was cancelled: ValueError: no luck"),
    ],
)
def test_a_job_without_a_result_raises_with_the_evidence(client, job, state, kind, says):
    client.end(state, failure=FAILURE)
    with pytest.raises(kind, match=says) as caught:
        job.result()
    assert caught.value.job_id == "1-x"
    cause = caught.value.__cause__
    assert (type(cause), str(cause)) == (ValueError, "no luck")
    assert isinstance(cause.__cause__, RemoteError)
    assert cause.__cause__.failure == FAILURE


def test_a_failure_without_evidence_says_so(client, job):
    client.end(JobState.FAILED)
    with pytest.raises(JobFailed, match="no reason was recorded") as caught:
        job.result()
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("timeout", [0, 0.5, 3])
def test_a_job_that_goes_on_raises_at_the_timeout(job, timeout):
    with pytest.raises(TimeoutError, match=f"still pending after {timeout:g} s"):
        job.result(timeout=timeout)


def test_a_timeout_may_be_a_timedelta(client, job):
    with pytest.raises(TimeoutError, match=r"still pending after 0\.5 s"):
        job.result(timedelta(milliseconds=500))
    assert client.asked == [0.5]
    with pytest.raises(TimeoutError, match=r"still pending after 0\.01 s"):
        asyncio.run(job.aresult(timedelta(milliseconds=10)))


@pytest.mark.parametrize("timeout", ["1", True, [1]])
def test_a_timeout_of_another_kind_is_refused(job, timeout):
    with pytest.raises(InvalidOption, match="expected seconds, a timedelta, or None"):
        job.result(timeout)
    with pytest.raises(InvalidOption, match="expected seconds, a timedelta, or None"):
        asyncio.run(job.aresult(timeout))


def test_a_job_that_is_gone_is_no_use_to_wait_for(client, job):
    client.there = False
    for ask in (job.result, lambda: job.status, lambda: asyncio.run(awaited(job))):
        with pytest.raises(LookupError, match="1-x"):
            ask()
    assert client.waiting == []


async def awaited(job):
    return await asyncio.wait_for(job, 5)


def end_soon(client, *arguments, **fields):
    def end():
        while not client.waiting:
            threading.Event().wait(0.001)
        client.end(*arguments, **fields)

    thread = threading.Thread(target=end)
    thread.start()
    return thread


def test_awaiting_gives_the_result_and_leaves_no_subscription(client, job):
    thread = end_soon(client, JobState.COMPLETED, b'"done"')
    assert asyncio.run(awaited(job)) == "done"
    thread.join()
    assert client.waiting == []


def test_awaiting_raises_as_result_does(client, job):
    thread = end_soon(client, JobState.FAILED, failure=FAILURE)
    with pytest.raises(JobFailed, match="no luck"):
        asyncio.run(awaited(job))
    thread.join()


def test_awaiting_raises_what_the_store_had_to_say(client, job):
    error = StoreUnusable("jobs.db", "it was deleted", "bring it back")

    async def main():
        waiting = asyncio.ensure_future(awaited(job))
        while not client.waiting:
            await asyncio.sleep(0)
        client.waiting[0](error)
        await waiting

    with pytest.raises(StoreUnusable, match="deleted"):
        asyncio.run(main())


def test_a_wait_that_is_cancelled_leaves_no_subscription(client, job):
    async def main():
        waiting = asyncio.ensure_future(awaited(job))
        while not client.waiting:
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()

    asyncio.run(main())
    assert client.waiting == []


def test_told_twice_and_after_the_loop_is_gone_is_harmless(client, job):
    tells = []

    async def main():
        waiting = asyncio.ensure_future(awaited(job))
        while not client.waiting:
            await asyncio.sleep(0)
        tells.append(client.waiting[0])
        client.end(JobState.COMPLETED, b"1")
        tells[0](client.told)
        assert await waiting == 1

    asyncio.run(main())
    tells[0](client.told)
