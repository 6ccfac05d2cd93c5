"""Cached results of durable tasks, wherever their bodies run."""

from __future__ import annotations

import asyncio
import math
import stat
import threading
import time
from datetime import timedelta

import pytest

from histories import outcomes
from mainspring import Cache, CacheAdapter, MemoryCache, Queue, RedisCache, SQLiteCache
from mainspring.errors import InvalidOption, JobFailed, UnknownOption
from mainspring.model.codec import Undecodable
from mainspring.model.job import Claim

APP = """
    import asyncio
    import os
    import time
    from pathlib import Path

    from mainspring import Cache, Exponential, Queue

    queue = Queue(db_path="jobs.db", workers=4, durability="normal", grace=5)
    CACHE = Cache(ttl=60)
    ONCE = {"retries": 0, "cache": CACHE}

    def note(line):
        with open("ran", "a") as ran:
            ran.write(f"{line}\\n")

    def looks_at(name):
        Path(f"{name}-entered").touch()
        while not Path(name).exists():
            yield

    def body(a, b, wait):
        note(f"{a!r} {b!r}")
        for _ in looks_at(wait) if wait else ():
            time.sleep(0.002)
        return end(a, b)

    async def abody(a, b, wait):
        note(f"{a!r} {b!r}")
        for _ in looks_at(wait) if wait else ():
            await asyncio.sleep(0.002)
        return end(a, b)

    def end(a, b):
        if a == "fail":
            raise ValueError(a)
        if a == "die" and not Path("died").exists():
            Path("died").touch()
            os._exit(3)
        return None if a is None else [a, b]

    @queue.task(**ONCE)
    def in_thread(a, b=2, wait=None):
        return body(a, b, wait)

    @queue.task(**ONCE)
    async def on_loop(a, b=2, wait=None):
        return await abody(a, b, wait)

    @queue.task(executor="process", **ONCE)
    def in_child(a, b=2, wait=None):
        return body(a, b, wait)

    @queue.task(executor="process", **ONCE)
    def of_a_class_of_its_own(a):
        import only_there
        return only_there.Pair(a)
"""
KINDS = ["in_thread", "on_loop", "in_child"]


class App:
    """The app's module, the lines its bodies wrote, and the gates they wait at."""

    def __init__(self, module, folder):
        self.module = module
        self.folder = folder
        self.queue = module.queue

    @property
    def ran(self):
        path = self.folder / "ran"
        return path.read_text().splitlines() if path.exists() else []

    def entered(self, gate):
        return (self.folder / f"{gate}-entered").exists()

    def open(self, gate):
        (self.folder / gate).touch()


@pytest.fixture
def app(make_app, tmp_path):
    app = App(make_app(APP), tmp_path)
    yield app
    app.queue.close()


@pytest.fixture(params=KINDS)
def task(request, app):
    return getattr(app.module, request.param)


@pytest.fixture
def queue():
    queue = Queue("memory://", workers=4, grace=5)
    yield queue
    queue.close()


def results(handles, timeout=20):
    return [handle.result(timeout=timeout) for handle in handles]


def test_an_equal_job_is_completed_without_its_body(app, task):
    with app.queue.worker():
        first = results([task.delay(1)])
        later = results([task.delay(1, 2), task.delay(a=1), task.delay(b=2, a=1)])
    assert [*first, *later] == [[1, 2]] * 4
    assert app.ran == ["1 2"]


def test_a_completed_job_looks_the_same_from_the_cache(app, task):
    with app.queue.worker():
        results([task.delay(1)])
        hit = task.delay(1)
        hit.result(timeout=20)
    assert hit.status == "completed"
    assert outcomes(hit) == ["completed"]


def test_values_that_compare_equal_but_differ_are_told_apart(app, task):
    with app.queue.worker():
        told = results([task.delay(value) for value in (1, "1", 1.0, True)])
    assert [type(first) for first, _ in told] == [int, str, float, bool]
    assert len(app.ran) == 4


def test_none_is_kept_and_a_failure_is_not(app, task):
    with app.queue.worker():
        assert results([task.delay(None), task.delay(None)]) == [None, None]
        for _ in range(2):
            with pytest.raises(JobFailed):
                task.delay("fail").result(timeout=20)
    assert app.ran.count("None 2") == 1
    assert app.ran.count("'fail' 2") == 2


def test_equal_jobs_at_once_run_one_body(app, task, eventually):
    with app.queue.worker():
        handles = [task.delay("x", wait="gate") for _ in range(4)]
        eventually(lambda: app.entered("gate"))
        eventually(lambda: app.queue.stats()["running"] == 4)
        app.open("gate")
        assert results(handles) == [["x", 2]] * 4
    assert app.ran == ["'x' 2"]


def test_of_equal_jobs_that_fail_each_has_its_own_attempt(app, task, eventually):
    with app.queue.worker():
        handles = [task.delay("fail", wait="gate") for _ in range(3)]
        eventually(lambda: app.entered("gate"))
        app.open("gate")
        for handle in handles:
            with pytest.raises(JobFailed):
                handle.result(timeout=20)
    assert len(app.ran) == 3


def test_a_child_that_dies_gives_its_turn_to_the_next(app):
    with app.queue.worker():
        assert results([app.module.in_child.delay("die") for _ in range(3)]) == [["die", 2]] * 3
    assert len(app.ran) == 2


def test_a_result_whose_class_only_the_child_has_loaded_completes_its_job(app, tmp_path, caplog):
    (tmp_path / "only_there.py").write_text(
        "from dataclasses import dataclass\n@dataclass\nclass Pair:\n    first: int\n"
    )
    with app.queue.worker():
        jobs = [app.module.of_a_class_of_its_own.delay(1) for _ in range(2)]
        for job in jobs:
            with pytest.raises(Undecodable, match=r"only_there:Pair.*not loaded here"):
                job.result(timeout=20)
    assert [outcomes(job) for job in jobs] == [["completed"], ["completed"]]
    told = [one for one in caplog.records if one.name == "mainspring.cache"]
    assert len(told) == 1


def test_results_outlive_the_worker_in_a_file_that_only_its_owner_reads(app, tmp_path):
    for _ in range(2):
        with app.queue.worker():
            assert results([app.module.in_thread.delay(1)]) == [[1, 2]]
        app.queue.close()
    assert app.ran == ["1 2"]
    files = sorted(tmp_path.glob("jobs.db-cache*"))
    assert files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_workers_in_other_processes_share_the_file(app, start_worker):
    first = start_worker()
    assert results([app.module.in_thread.delay(1)]) == [[1, 2]]
    first.kill()
    start_worker()
    assert results([app.module.in_thread.delay(1)]) == [[1, 2]]
    assert app.ran == ["1 2"]


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_a_result_that_can_not_be_stored_is_a_failure_and_not_kept(queue, kind):
    results = [object(), 1]

    def give():
        return results.pop(0)

    async def agive():
        return results.pop(0)

    body = give if kind == "thread" else agive
    task = queue.task(name="give", retries=0, cache=Cache())(body)
    with queue.worker():
        with pytest.raises(JobFailed, match="object"):
            task.delay().result(timeout=10)
        assert task.delay().result(timeout=10) == 1


def test_two_workers_of_one_queue_in_memory_share_its_results(queue):
    ran = []

    @queue.task(name="double", cache=Cache())
    def double(n):
        ran.append(n)
        return 2 * n

    for _ in range(2):
        with queue.worker():
            assert double.delay(2).result(timeout=10) == 4
    assert ran == [2]


def test_an_entry_lives_as_long_as_it_was_told(queue):
    now = [0.0]
    ran = []

    @queue.task(name="double", cache=Cache(ttl=60, adapter=MemoryCache(clock=lambda: now[0])))
    def double(n):
        ran.append(n)
        return 2 * n

    with queue.worker():
        for moment in (0, 59, 60, 61, 121):
            now[0] = moment
            double.delay(2).result(timeout=10)
    assert len(ran) == 3


def test_a_key_of_ones_own_is_a_name_to_share_or_a_function_of_the_arguments(queue):
    ran = []

    @queue.task(name="by_user", cache=Cache(key=lambda user, trace: user))
    def by_user(user, trace):
        ran.append((user, trace))
        return trace

    @queue.task(name="old", cache=Cache(key="shared"))
    def old(n):
        ran.append("old")
        return n

    @queue.task(name="new", cache=Cache(key="shared"))
    def new(n):
        ran.append("new")
        return n

    with queue.worker():
        told = [by_user.delay(*call).result(timeout=10) for call in [(1, "a"), (1, "b"), (2, "c")]]
        old.delay(1).result(timeout=10)
        new.delay(1).result(timeout=10)
    assert told == ["a", "a", "c"]
    assert ran == [(1, "a"), (2, "c"), "old"]


def test_two_functions_of_one_name_in_two_queues_never_share():
    adapter = MemoryCache()
    told = []
    for number in (1, 2):
        queue = Queue("memory://", workers=1)

        def one():
            return "one"

        def two():
            return "two"

        task = queue.task(name="same", cache=Cache(adapter=adapter))(one if number == 1 else two)
        with queue.worker():
            told.append(task.delay().result(timeout=10))
        queue.close()
    assert told == ["one", "two"]


def test_what_can_not_be_keyed_runs_and_says_so_once(queue, caplog):
    ran = []

    @queue.task(name="work", cache=Cache(key=lambda n: object()))
    def work(n):
        ran.append(n)

    with queue.worker():
        results([work.delay(1), work.delay(1)])
    assert ran == [1, 1]
    told = [one for one in caplog.records if one.name == "mainspring.cache"]
    assert len(told) == 1
    assert "'work' are not cached" in told[0].getMessage()


class Broken(CacheAdapter):
    async def get(self, key):
        raise OSError("no answer")

    async def set(self, key, value, ttl=None):
        raise OSError("no answer")

    async def delete(self, key):
        raise OSError("no answer")

    async def clear(self):
        raise OSError("no answer")


def test_a_cache_that_fails_never_fails_a_job(queue, caplog):
    ran = []

    @queue.task(name="in_thread", cache=Cache(adapter=Broken()))
    def in_thread(n):
        ran.append(n)
        return n

    @queue.task(name="on_loop", cache=Cache(adapter=Broken()))
    async def on_loop(n):
        ran.append(n)
        return n

    with queue.worker():
        for task in (in_thread, in_thread, on_loop):
            assert task.delay(1).result(timeout=10) == 1
    assert len(ran) == 3
    assert "cache" in caplog.text


def test_a_file_that_is_no_database_fails_no_job(app, tmp_path, caplog):
    (tmp_path / "jobs.db-cache").write_text("no database" * 1000)
    with app.queue.worker():
        assert results([app.module.in_thread.delay(1) for _ in range(2)]) == [[1, 2]] * 2
    assert "cache" in caplog.text


def test_an_adapter_gets_plain_values_whole_seconds_and_our_prefix(queue):
    kept = []

    class Noting(Broken):
        async def get(self, key):
            return False, None

        async def set(self, key, value, ttl=None):
            kept.append((key, value, ttl))

    @queue.task(name="pair", cache=Cache(ttl=timedelta(seconds=1.5), adapter=Noting()))
    def pair(a):
        return {"a": (a, math.inf)}

    with queue.worker():
        pair.delay(1).result(timeout=10)
    [(key, value, ttl)] = kept
    assert key.startswith("task_cache:job:pair@")
    assert (value, ttl) == ({"a": (1, math.inf)}, 2)


def test_a_server_keeps_results_for_the_next_worker(redis_url, queue):
    ran = []
    adapter = RedisCache(redis_url)

    @queue.task(name="double", cache=Cache(ttl=60, adapter=adapter))
    def double(n):
        ran.append(n)
        return 2 * n

    for _ in range(2):
        with queue.worker():
            assert double.delay(2).result(timeout=10) == 4
    assert ran == [2]

    async def clean_up():
        await adapter.clear()
        await adapter.aclose()

    asyncio.run(clean_up())


def test_what_an_adapter_opened_on_the_caches_loop_is_closed_there(queue):
    loops = []

    class Connected(Broken):
        async def get(self, key):
            loops.append(asyncio.get_running_loop())
            return True, 1

        async def aclose(self):
            loops.append(asyncio.get_running_loop())

    task = queue.task(name="one", cache=Cache(adapter=Connected()))(lambda: 1)
    with queue.worker():
        assert task.delay().result(timeout=10) == 1
    first, last = loops
    assert first is last


def test_a_body_past_its_time_holds_up_no_equal_job(queue):
    """A thread that never comes back had the turn: the next attempt must get it."""
    gate, ran = threading.Event(), []

    @queue.task(name="slow", timeout=0.3, retries=0, cache=Cache())
    def slow(n):
        ran.append(n)
        if len(ran) == 1:
            gate.wait(30)
        return n

    with queue.worker():
        with pytest.raises(JobFailed):
            slow.delay(1).result(timeout=10)
        assert slow.delay(1).result(timeout=10) == 1
        gate.set()
    assert ran == [1, 1]


def test_an_attempt_that_was_given_up_while_it_waited_never_runs_its_body(queue, eventually):
    gate, ran = threading.Event(), []

    @queue.task(name="first", cache=Cache(key="one"), retries=0)
    def first():
        ran.append("first")
        gate.wait(30)
        raise ValueError

    @queue.task(name="second", cache=Cache(key="one"), retries=0, timeout=0.2)
    def second():
        ran.append("second")

    with queue.worker():
        leader = first.delay()
        eventually(lambda: ran == ["first"])
        with pytest.raises(JobFailed, match=r"0\.2 s"):
            second.delay().result(timeout=10)
        gate.set()
        with pytest.raises(JobFailed):
            leader.result(timeout=10)
    assert ran == ["first"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_ends_those_that_wait_for_their_turn_and_runs_none_of_them(app, kind, eventually):
    task = getattr(app.module, kind)
    handles = []
    with app.queue.worker():
        handles += [task.delay("x", wait="gate") for _ in range(3)]
        eventually(lambda: app.entered("gate"))
        eventually(lambda: app.queue.stats()["running"] == 3)
        began = time.monotonic()
        app.queue.shutdown()
        app.queue.shutdown()
    assert time.monotonic() - began < 20
    assert app.queue.stats()["pending"] == 3
    app.open("gate")
    assert app.ran == ["'x' 2"]


def test_a_task_without_a_cache_is_not_touched(queue):
    def plain():
        pass

    task = queue.task(name="plain")(plain)
    queue.task(name="cached", cache=Cache())(lambda: None)
    cache = queue._caches.open(queue._tasks, queue._client.codec)
    assert cache.over(queue._tasks)["plain"] is task.task
    assert cache.turn_of(Claim(1, "1-x", 7, "plain", "default", b"[[],{}]", 1, 0)) is None


def test_options_that_make_no_sense_are_refused(queue):
    for wrong in (0, -1, math.nan, "soon", timedelta(0)):
        with pytest.raises(InvalidOption, match="ttl"):
            Cache(ttl=wrong)
    with pytest.raises(InvalidOption, match="key"):
        Cache(key="")
    with pytest.raises(InvalidOption, match="adapter"):
        Cache(adapter=object())
    with pytest.raises(InvalidOption, match="cache=Cache"):
        queue.task(name="n", cache=60)(lambda: None)
    with pytest.raises(UnknownOption, match="cache"):
        queue.task(name="n", caches=Cache())


def test_a_file_cache_of_ones_own_is_left_open_to_its_owner(tmp_path, queue):
    with_file = SQLiteCache(tmp_path / "mine.db")

    @queue.task(name="double", cache=Cache(adapter=with_file))
    def double(n):
        return 2 * n

    with queue.worker():
        assert double.delay(2).result(timeout=10) == 4
    keys = asyncio.run(
        with_file._run(lambda db: db.execute("SELECT key FROM mainspring_task_cache").fetchall())
    )
    assert len(keys) == 1
    with_file.close()
