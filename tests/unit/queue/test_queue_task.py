"""Tasks in the caller's hand: what they take, what they refuse, what they leave alone."""

from __future__ import annotations

import asyncio
import functools
import threading
from datetime import UTC, datetime, timedelta

import pytest

from mainspring import Exponential, Queue
from mainspring.errors import InvalidArguments, InvalidOption, StoreBusy


@pytest.fixture
def queue():
    queue = Queue("memory://", workers=2)
    yield queue
    queue.close()


def waits(job):
    return (job.run_at - job.created_at).total_seconds()


@pytest.mark.parametrize("attribute", ["name", "task", "delay", "_client", "using", "call"])
def test_attributes_of_a_function_do_not_hide_those_of_its_task(queue, attribute):
    def add(a, b):
        return a + b

    setattr(add, attribute, "the user's own")
    task = queue.task(name="add")(add)
    assert task.name == "add"
    assert task.using(priority=1).delay(1, 2).args == (1, 2)
    assert task.call(1, 2).job.task == "add"


def test_a_task_looks_like_its_function(queue):
    def add(a: int, b: int = 1) -> int:
        """Add."""
        return a + b

    task = queue.task(name="add")(add)
    assert (task.__name__, task.__doc__, task.__wrapped__) == ("add", "Add.", add)
    assert task(1) == 2


class TestUsing:
    @pytest.fixture
    def noop(self, queue):
        return queue.task(name="noop")(lambda: None)

    def test_each_option_that_is_not_given_stays(self, noop):
        other = noop.using(queue="slow", priority=3, delay=60).using(priority=4)
        job = other.delay()
        assert (job.queue, job.priority, waits(job)) == ("slow", 4, 60)
        job = noop.delay()
        assert (job.queue, job.priority, waits(job)) == ("default", 0, 0)

    def test_a_later_delay_stands_for_an_earlier_run_at_and_the_other_way_round(self, noop):
        far = datetime.now(UTC) + timedelta(days=1)
        assert waits(noop.using(run_at=far).using(delay=60).delay()) == 60
        assert waits(noop.using(delay=60).using(run_at=far).delay()) > 80_000
        assert waits(noop.using(run_at=far).using(delay=0).delay()) == 0

    def test_a_moment_that_has_passed_means_now(self, noop):
        assert waits(noop.using(run_at=datetime(2001, 1, 1, tzinfo=UTC)).delay()) == 0

    def test_a_timedelta_is_seconds(self, noop):
        assert waits(noop.using(delay=timedelta(minutes=2)).delay()) == 120

    @pytest.mark.parametrize(
        "delay", [-1, float("nan"), float("inf"), 1e18, "5", True, timedelta(seconds=-1), 10**400]
    )
    def test_a_delay_that_no_store_can_hold_is_named(self, noop, delay):
        with pytest.raises(InvalidOption, match="delay"):
            noop.using(delay=delay)

    def test_a_moment_that_no_calendar_can_hold_in_the_end_is_named(self, noop):
        with pytest.raises(InvalidOption, match="run_at"):
            noop.using(run_at=datetime.max.replace(tzinfo=UTC))
        far = datetime.now(UTC) + timedelta(days=365 * 250)
        assert noop.using(run_at=far).delay().run_at == pytest.approx(far, abs=timedelta(seconds=5))


class TestArguments:
    def test_keyword_only_positional_only_and_starred_parameters_are_checked(self, queue):
        def mixed(a, /, b, *rest, c, **more):
            return [a, b, list(rest), c, more]

        task = queue.task(name="mixed")(mixed)
        job = task.delay(1, 2, 3, 4, c=5, d=6)
        with queue.worker():
            assert job.result(timeout=10) == [1, 2, [3, 4], 5, {"d": 6}]
        for args, kwargs in [((1, 2), {}), ((1,), {"c": 1}), ((), {"b": 2, "c": 3})]:
            with pytest.raises(InvalidArguments, match="mixed"):
                task.delay(*args, **kwargs)

    def test_a_task_without_parameters_takes_none(self, queue):
        task = queue.task(name="noop")(lambda: None)
        with pytest.raises(InvalidArguments, match="too many"):
            task.delay(1)
        with pytest.raises(InvalidArguments, match="unexpected"):
            task.delay(x=1)

    def test_none_of_our_options_is_taken_out_of_the_users_arguments(self, queue):
        task = queue.task(name="echo")(lambda **given: given)
        given = {"queue": "q", "priority": 1, "delay": 2, "timeout": 3, "self": 4, "args": 5}
        job = task.delay(**given)
        assert job.kwargs == given
        with queue.worker():
            assert job.result(timeout=10) == given

    def test_a_map_with_one_bad_tuple_enqueues_nothing(self, queue):
        task = queue.task(name="one")(lambda n: n)
        with pytest.raises(InvalidArguments):
            task.map([(1,), (2, 3)])
        assert queue.stats()["pending"] == 0

    def test_a_map_of_nothing_is_nothing(self, queue):
        assert queue.task(name="one")(lambda n: n).map([]) == []
        assert queue.enqueue_many([]) == []


def shout(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args).upper()

    return wrapper


def test_a_decorated_function_runs_with_its_decorator(queue):
    @queue.task(name="greet")
    @shout
    def greet(name):
        return f"hello {name}"

    with queue.worker():
        assert greet.delay("you").result(timeout=10) == "HELLO YOU"


@pytest.mark.parametrize("backoff", [3, "1", [], {}, Exponential])
def test_a_backoff_that_is_none_is_refused_when_the_task_is_registered(queue, backoff):
    with pytest.raises(InvalidOption, match="backoff"):
        queue.task(name="noop", backoff=backoff)(lambda: None)


@pytest.mark.parametrize("timeout", [float("inf"), 1e12, 10**400, float("nan"), 0, -1])
def test_a_timeout_that_no_clock_can_keep_is_refused(queue, timeout):
    with pytest.raises(InvalidOption, match="timeout"):
        queue.task(name="noop", timeout=timeout)(lambda: None)


class TestEnqueuingFromCoroutines:
    def test_calls_at_the_same_time_share_a_commit_and_keep_their_order(self, queue, monkeypatch):
        batches = []
        enqueue_many = queue._store.enqueue_many

        def counted(jobs):
            batches.append(len(jobs))
            return enqueue_many(jobs)

        monkeypatch.setattr(queue._store, "enqueue_many", counted)
        one = queue.task(name="one")(lambda n: n)

        async def main():
            return await asyncio.gather(*(one.adelay(n) for n in range(300)))

        jobs = asyncio.run(main())
        assert [job.args for job in jobs] == [(n,) for n in range(300)]
        assert sum(batches) == 300
        assert len(batches) < 20

    def test_an_error_reaches_all_who_wait_and_the_next_call_works(self, queue, monkeypatch):
        one = queue.task(name="one")(lambda n: n)
        enqueue_many = queue._store.enqueue_many

        def refuse(_):
            raise StoreBusy("jobs.db", 30.0, "somebody")

        async def main():
            monkeypatch.setattr(queue._store, "enqueue_many", refuse)
            calls = [one.adelay(n) for n in range(5)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(answer) for answer in answers] == [StoreBusy] * 5
            monkeypatch.setattr(queue._store, "enqueue_many", enqueue_many)
            assert (await one.adelay(7)).args == (7,)

        asyncio.run(main())

    def test_what_was_accepted_stays_when_the_caller_is_cancelled(self, queue, monkeypatch):
        writing, go = threading.Event(), threading.Event()
        enqueue_many = queue._store.enqueue_many

        def slow(jobs):
            writing.set()
            go.wait(30)
            return enqueue_many(jobs)

        monkeypatch.setattr(queue._store, "enqueue_many", slow)
        one = queue.task(name="one")(lambda n: n)

        async def main():
            first = asyncio.create_task(one.adelay(1))
            while not writing.is_set():
                await asyncio.sleep(0.001)
            others = [asyncio.create_task(one.adelay(n)) for n in (2, 3)]
            await asyncio.sleep(0)
            first.cancel()
            others[0].cancel()
            await asyncio.wait([first, others[0]])
            assert first.cancelled()
            go.set()
            assert (await others[1]).args == (3,)

        asyncio.run(main())
        assert queue.stats()["pending"] == 3

    def test_loops_of_several_threads_enqueue_at_once(self, queue):
        one = queue.task(name="one")(lambda n: n)

        async def main():
            await asyncio.gather(*(one.adelay(n) for n in range(50)))

        threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert queue.stats()["pending"] == 300
