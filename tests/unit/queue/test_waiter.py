"""Waiting for jobs to end: everybody is told, whoever leads, whatever the store does."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mainspring.errors import JobGone, StoreBusy, StoreError
from mainspring.model.job import ANY_JOB, Ended, JobState, Notice
from mainspring.queue import waiter as module
from mainspring.queue.waiter import Waiter

BUSY = StoreBusy("jobs.db", 30.0, "somebody")


class Bell:
    """A listener whose rings a test may swallow."""

    def __init__(self):
        self.rung = threading.Event()
        self.closed = False
        self.waits = 0
        self.notice = ANY_JOB

    def wait(self, timeout):
        self.waits += 1
        rung = not self.closed and self.rung.wait(timeout)
        self.rung.clear()
        notice, self.notice = self.notice, ANY_JOB
        return notice if rung and not self.closed else None

    def poke(self):
        self.rung.set()

    def close(self):
        self.closed = True
        self.rung.set()


class Ends:
    """The part of a store that a waiter needs; a test ends jobs and rings by hand."""

    def __init__(self):
        self.told = {}
        self.gone = set()
        self.bells = []
        self.error = None
        self.asked = []

    def ended(self, job_ids):
        self.asked.append(list(job_ids))
        if self.error is not None:
            raise self.error
        return {one: self.told[one] for one in job_ids if one in self.told}

    def get(self, job_id):
        return None if job_id in self.gone else job_id

    def listen(self, topic):
        assert topic == "ended"
        self.bells.append(Bell())
        return self.bells[-1]

    def end(self, *job_ids, ring=True):
        for one in job_ids:
            self.told[one] = Ended(1, "t", JobState.COMPLETED, b'"%s"' % one.encode(), None)
        if ring:
            self.ring()

    def ring(self):
        for bell in self.bells:
            bell.rung.set()


@pytest.fixture
def ends():
    return Ends()


@pytest.fixture
def waiter(ends):
    waiter = Waiter(ends)
    yield waiter
    waiter.close()


@pytest.fixture
def pool():
    with ThreadPoolExecutor(80) as pool:
        yield pool


def test_a_job_that_has_ended_is_told_without_waiting(ends, waiter):
    ends.end("a")
    assert waiter.wait("a", 0).result == b'"a"'
    assert ends.bells[0].waits == 0


def test_a_wait_ends_at_its_timeout(waiter):
    began = time.monotonic()
    assert waiter.wait("a", 0.05) is None
    assert time.monotonic() - began >= 0.05


def test_a_notice_that_names_jobs_asks_the_store_for_no_others(ends, waiter, pool, eventually):
    first, second = (pool.submit(waiter.wait, one, 20) for one in ("1-aaaaaaaa", "2-aaaaaaaa"))
    eventually(lambda: ends.bells and ends.bells[0].waits and len(ends.asked) >= 2)
    for keys in ({3, 4}, {1}, {2}):
        del ends.asked[:]
        waits = ends.bells[0].waits
        ends.bells[0].notice = Notice(frozenset(keys))
        named = [one for one in ("1-aaaaaaaa", "2-aaaaaaaa") if int(one[0]) in keys]
        ends.end(*named)
        if named:
            assert (first if 1 in keys else second).result(10) is not None
        else:
            eventually(lambda waits=waits: ends.bells[0].waits > waits)
        assert ends.asked == [named] * bool(named)


def test_a_notice_of_any_job_asks_for_all(ends, waiter, pool, eventually):
    ids = ["1-aaaaaaaa", "2-aaaaaaaa"]
    waiting = [pool.submit(waiter.wait, one, 20) for one in ids]
    eventually(lambda: ends.bells and ends.bells[0].waits and len(ends.asked) >= 2)
    ends.end(*ids)
    assert all(one.result(10) for one in waiting)


def test_a_wake_up_that_got_lost_is_made_up_for(ends, waiter, pool, eventually):
    waiting = pool.submit(waiter.wait, "a", 20)
    eventually(lambda: ends.bells and ends.bells[0].waits)
    ends.end("a", ring=False)
    assert waiting.result(10).result == b'"a"'


def test_who_waits_for_a_job_that_was_dropped_is_told(ends, waiter, pool, eventually, monkeypatch):
    monkeypatch.setattr(module, "LOOKED_FOR", 3)
    waiting = [pool.submit(waiter.wait, f"job-{number}", 30) for number in range(7)]
    told = []
    waiter.subscribe("job-7", told.append)
    eventually(lambda: len(waiter._waiters.jobs) == 8)
    ends.gone.update(f"job-{number}" for number in range(1, 8))
    for number, one in enumerate(waiting[1:], 1):
        with pytest.raises(JobGone, match=f"job-{number} is not in the store"):
            one.result(20)
    eventually(lambda: told, within=20)
    assert isinstance(told[0], LookupError)
    assert not waiting[0].done()
    ends.end("job-0")
    assert waiting[0].result(10).result == b'"job-0"'


def test_fifty_threads_that_wait_for_fifty_jobs_are_all_told(ends, waiter, pool, eventually):
    names = [f"job-{number}" for number in range(50)]
    waiting = [pool.submit(waiter.wait, name, 20) for name in names]
    eventually(lambda: len(waiter._waiters.jobs) == 50)
    for name in names:
        ends.end(name)
    assert [one.result(10).result.decode() for one in waiting] == [f'"{name}"' for name in names]
    assert waiter._waiters.jobs == {}
    assert not waiter._waiters.followers


def test_fifty_threads_that_wait_for_one_job_are_all_told(ends, waiter, pool, eventually):
    waiting = [pool.submit(waiter.wait, "a", 20) for _ in range(50)]
    eventually(lambda: len(waiter._waiters.jobs.get("a", ())) == 50)
    ends.end("a")
    assert {one.result(10).result for one in waiting} == {b'"a"'}


def test_when_the_one_who_listens_leaves_another_takes_over(ends, waiter, pool, eventually):
    hasty = pool.submit(waiter.wait, "never", 0.2)
    eventually(lambda: ends.bells and ends.bells[0].waits)
    patient = [pool.submit(waiter.wait, name, 20) for name in ("a", "b", "c")]
    assert hasty.result(10) is None
    ends.end("a", "b", "c")
    assert all(one.result(10) for one in patient)


def test_a_store_that_fails_is_told_to_those_who_wait_and_to_no_one_later(
    ends, waiter, pool, eventually
):
    waiting = pool.submit(waiter.wait, "a", 20)
    eventually(lambda: ends.bells and ends.bells[0].waits)
    ends.error = BUSY
    ends.ring()
    with pytest.raises(StoreBusy):
        waiting.result(10)
    with pytest.raises(StoreBusy):
        waiter.wait("b", 20)
    assert waiter._waiters.jobs == {}
    ends.error = None
    ends.end("a")
    assert waiter.wait("a", 10).result == b'"a"'


def test_subscribers_are_told_by_a_relay_that_ends_when_nobody_waits(
    ends, waiter, monkeypatch, eventually
):
    monkeypatch.setattr("mainspring.queue.waiter.NET_SECONDS", 0.01)
    told = []
    for name in ("a", "b"):
        waiter.subscribe(name, told.append)
    ends.end("a", "b")
    eventually(lambda: len(told) == 2)
    eventually(lambda: not waiter._waiters.relayed)
    waiter.subscribe("c", told.append)
    ends.end("c")
    eventually(lambda: len(told) == 3)


def test_a_subscriber_who_cancelled_is_not_told(ends, waiter, eventually):
    told = []
    cancel = waiter.subscribe("a", told.append)
    waiter.subscribe("b", told.append)
    cancel()
    cancel()
    ends.end("a", "b")
    eventually(lambda: told)
    assert [one.result for one in told] == [b'"b"']


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_after_a_relay_that_died_the_next_who_comes_starts_another(ends, waiter, eventually):
    told = []
    waiter.subscribe("a", told.append)
    ends.error = RuntimeError("what no store should raise")
    ends.ring()
    eventually(lambda: not waiter._waiters.relayed)
    ends.error = None
    waiter.subscribe("b", told.append)
    ends.end("a", "b")
    eventually(lambda: len(told) == 2)


def test_a_look_that_fails_leaves_no_waiter(ends, waiter):
    ends.error = BUSY
    with pytest.raises(StoreBusy):
        waiter.subscribe("a", print)
    assert waiter._waiters.jobs == {}


@pytest.mark.parametrize("timeout", [None, 60])
def test_closing_ends_the_wait_of_all_who_wait_with_an_error(
    ends, waiter, pool, eventually, timeout
):
    waiting = [pool.submit(waiter.wait, name, timeout) for name in ("a", "b", "c")]
    eventually(lambda: len(waiter._waiters.jobs) == 3)
    waiter.close()
    for one in waiting:
        with pytest.raises(StoreError, match="closed"):
            one.result(10)
    ends.end("d")
    assert waiter.wait("d", 10).result == b'"d"'


def test_closing_tells_subscribers_too_and_twice_is_harmless(ends, waiter, eventually):
    told = []
    waiter.subscribe("a", told.append)
    waiter.close()
    waiter.close()
    eventually(lambda: told)
    assert isinstance(told[0], StoreError)


def wait_in_child(waiter, ends):
    """Wait for a job with many threads in a forked child; its exit code says how many were told."""
    ends.bells.clear()
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(waiter.wait, f"job-{n}", 10) for n in range(8)]
        while len(waiter._waiters.jobs) < 8:
            time.sleep(0.001)
        ends.end(*(f"job-{n}" for n in range(8)))
        return sum(1 for one in waiting if one.result(10) is not None)


@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_a_forked_child_waits_on_its_own(ends, waiter, pool, eventually):
    waiting = pool.submit(waiter.wait, "a", 20)
    eventually(lambda: ends.bells and ends.bells[0].waits)
    with waiter._waiters.lock:  # the child must not wait for it
        child = os.fork()
        if not child:
            os._exit(wait_in_child(waiter, ends))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8
    ends.end("a")
    assert waiting.result(10).result == b'"a"'


@pytest.fixture
def queue(make_queue):
    return make_queue(workers=4)


def test_fifty_threads_and_two_hundred_coroutines_wait_at_once(queue, pool):
    double = queue.task(name="double")(lambda n: 2 * n)

    async def all_results():
        jobs = await asyncio.gather(*(double.adelay(n) for n in range(200)))
        return await asyncio.gather(*jobs)

    with queue.worker():
        jobs = [double.delay(n) for n in range(50)]
        waiting = [pool.submit(job.result, 20) for job in jobs]
        assert asyncio.run(all_results()) == [2 * n for n in range(200)]
        assert [one.result(20) for one in waiting] == [2 * n for n in range(50)]


def test_a_loop_that_was_closed_in_the_middle_of_a_wait_harms_nobody_else(queue, pool):
    go = threading.Event()
    wait = queue.task(name="wait")(lambda: go.wait(30))
    job = wait.delay()
    loop = asyncio.new_event_loop()
    awaiting = loop.create_task(job._aresult())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    awaiting._log_destroy_pending = False
    with queue.worker():
        waiting = pool.submit(job.result, 20)
        go.set()
        assert waiting.result(20) is True


def test_awaiting_a_job_that_is_gone_says_so(queue):
    task = queue.task(name="noop")(lambda: None)
    with queue.worker():
        job = task.delay()
        job.result(timeout=10)
    queue._store.purge(completed_after=-1.0, failed_after=-1.0, limit=10)

    async def wait():
        await asyncio.wait_for(job, 5)

    with pytest.raises(LookupError, match=job.id):
        asyncio.run(wait())
    with pytest.raises(LookupError, match=job.id):
        job.result(timeout=5)
