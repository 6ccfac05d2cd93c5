"""What is registered or declared while a worker runs is served by it, as if it had been there."""

from __future__ import annotations

import importlib
import sys
import threading
from textwrap import dedent

import pytest

from mainspring import Cache, Queue
from mainspring.engine.node.node import Node
from mainspring.queue.consumers import Consumers

PATIENCE = 30


@pytest.fixture(params=["memory", "sqlite"])
def queue(request, tmp_path):
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/jobs.db"
    queue = Queue(url, workers=1, durability="normal", heartbeat=0.5)
    yield queue
    queue.close()


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A module that registers a task for child processes when it is imported."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "late_plugin.py").write_text(
        dedent("""
            from mainspring import Queue
            queue = Queue("memory://", workers=1)
            def attach(queue):
                global task
                task = queue.task(name="plugin", executor="process")(body)
                return task
            def body(x):
                return 2 * x
        """)
    )
    yield lambda: importlib.import_module("late_plugin")
    sys.modules.pop("late_plugin", None)


def serves(queue):
    [node] = queue.nodes()
    return node.serves


class TestTasks:
    def test_each_kind_of_task_may_come_when_the_worker_runs(self, queue, plugin):
        with queue.worker():

            @queue.task(name="thread")
            def in_thread():
                return threading.current_thread().name

            @queue.task(name="loop")
            async def on_loop():
                return "loop"

            task = plugin().attach(queue)
            jobs = in_thread.delay(), on_loop.delay(), task.delay(4)
            assert "mainspring" in jobs[0].result(timeout=PATIENCE)
            assert jobs[1].result(timeout=PATIENCE) == "loop"
            assert jobs[2].result(timeout=PATIENCE) == 8

    def test_a_job_may_register_what_its_own_worker_runs(self, queue):
        @queue.task(name="early")
        def early():
            @queue.task(name="late")
            async def late():
                return "late"

            return late.delay().id

        with queue.worker():
            late = queue.get_job(early.delay().result(timeout=PATIENCE))
            assert late.result(timeout=PATIENCE) == "late"

    def test_jobs_that_waited_for_their_task_run_when_it_comes(self, queue, eventually):
        late = queue.task(name="late")(lambda: 1)
        job = late.delay()
        other = Queue(queue.url, workers=1) if "sqlite" in queue.url else queue
        if other is queue:
            pytest.skip("another program has no part in this process's memory")
        with other.worker():
            assert queue.stats()["unclaimable"] == 1
            other.task(name="late")(lambda: 2)
            assert job.result(timeout=PATIENCE) == 2
            eventually(lambda: serves(queue).tasks == {"late"})
        other.close()

    def test_the_node_says_what_it_serves_by_now(self, queue, eventually):
        queue.task(name="early")(lambda: 1)
        with queue.worker(["default"]):
            assert serves(queue).tasks == {"early"}
            late = queue.task(name="late")(lambda: 1)
            queue.every(60, name="poll")(late)
            eventually(lambda: serves(queue).tasks == {"early", "late"})
            eventually(lambda: serves(queue).schedules == {"poll"})
            assert serves(queue).queues == {"default"}

    def test_a_function_that_is_defined_anew_as_a_coroutine_runs_as_one(self, queue):
        names = {"queue": queue, "__name__": "notebook"}
        sys.modules["notebook"] = type(sys)("notebook")
        try:
            exec("@queue.task\ndef cell(): return 1", names)
            with queue.worker():
                assert names["cell"].delay().result(timeout=PATIENCE) == 1
                exec("@queue.task\nasync def cell(): return 2", names)
                assert names["cell"].delay().result(timeout=PATIENCE) == 2
                exec("@queue.task\ndef cell(): return 3", names)
                assert names["cell"].delay().result(timeout=PATIENCE) == 3
        finally:
            del sys.modules["notebook"]

    def test_a_task_that_comes_late_is_cached_as_it_says(self, queue):
        runs = []
        with queue.worker():

            @queue.task(name="first", cache=Cache(ttl=60))
            def first(x):
                runs.append(x)
                return x

            # What runs before the cache is up is not kept.
            while len(runs) < 50 and runs.count(1) == len(runs):
                assert first.delay(1).result(timeout=PATIENCE) == 1
                before = len(runs)
                assert first.delay(1).result(timeout=PATIENCE) == 1
                if len(runs) == before:
                    break
            assert len(runs) == before

            @queue.task(name="second", cache=Cache(ttl=60))
            async def second(x):
                runs.append("second")
                return x

            for _ in range(3):
                assert second.delay(1).result(timeout=PATIENCE) == 1
            assert runs.count("second") == 1

    def test_a_late_executor_gets_the_grace_at_the_end(self, queue, eventually):
        began, ended = threading.Event(), []
        with queue.worker():

            @queue.task(name="late")
            def late():
                began.set()
                queue.shutdown()
                eventually(lambda: queue.nodes()[0].report.get("draining") or True)
                ended.append(1)

            late.delay()
            assert began.wait(PATIENCE)
        assert ended == [1]
        assert queue.stats()["completed"] == 1

    def test_registering_goes_on_when_the_worker_has_gone(self, queue):
        with queue.worker():
            pass
        task = queue.task(name="late")(lambda: 1)
        with queue.worker():
            assert task.delay().result(timeout=PATIENCE) == 1


class TestWhileItStarts:
    """A server that does not answer may hold up a start for minutes, and the program goes on."""

    @pytest.fixture
    def comes_with_the_start(self, monkeypatch):
        join = Node.join

        def after(register):
            def register_and_join(node):
                register()
                join(node)

            monkeypatch.setattr(Node, "join", register_and_join)

        return after

    def test_a_schedule_of_a_task_of_another_kind_ticks(self, queue, comes_with_the_start):
        ticked = threading.Event()
        queue.task(name="first")(lambda: 1)

        async def tick():
            ticked.set()

        comes_with_the_start(lambda: queue.every(0.1, name="late")(tick))
        with queue.worker():
            assert ticked.wait(PATIENCE)

    def test_the_first_task_with_a_cache_is_cached(self, queue, comes_with_the_start):
        bodies = []

        def body(x):
            bodies.append(x)
            return x

        comes_with_the_start(lambda: queue.task(name="cached", cache=Cache(ttl=60))(body))
        with queue.worker():
            jobs = [queue.enqueue("cached", (1,)).result(PATIENCE) for _ in range(50)]
        # What runs before the cache is up is not kept.
        assert len(bodies) < len(jobs)

    def test_a_schedule_that_comes_before_the_worker_is_known_ticks(self, queue, monkeypatch):
        ticked, made = threading.Event(), Consumers.new_consumer

        def make_and_declare(self, *args):
            consumer = made(self, *args)
            queue.every(0.1, name="late")(lambda: ticked.set())  # noqa: PLW0108  # a task of its own
            return consumer

        monkeypatch.setattr(Consumers, "new_consumer", make_and_declare)
        with queue.worker():
            assert ticked.wait(PATIENCE)


class TestSchedules:
    def test_a_schedule_that_comes_late_ticks_in_each_worker(self, queue):
        ticked = threading.Event()
        with queue.worker():

            @queue.every(0.1, name="late")
            def late():
                ticked.set()

            assert ticked.wait(PATIENCE)

    def test_a_second_schedule_ticks_beside_the_first(self, queue):
        ticks = threading.Event(), threading.Event()
        queue.every(0.1, name="first")(lambda: ticks[0].set())  # noqa: PLW0108  # a task of its own
        with queue.worker():
            assert ticks[0].wait(PATIENCE)
            queue.every(0.1, name="second")(lambda: ticks[1].set())  # noqa: PLW0108  # as above
            assert ticks[1].wait(PATIENCE)
            ticks[0].clear()
            assert ticks[0].wait(PATIENCE)

    def test_one_that_was_removed_stops_and_stays_away(self, queue, eventually, caplog):
        ticks = []
        queue.every(0.1, name="poll")(lambda: ticks.append(1))
        with queue.worker():
            eventually(lambda: ticks)
            assert queue.schedules["poll"].forget()
            eventually(lambda: "schedule 'poll' was removed" in caplog.text)
            queue.every(0.1, name="other")(lambda: ticks.append("other"))
            eventually(lambda: "other" in ticks)
            ticks.clear()
            eventually(lambda: ticks.count("other") >= 2)
            assert 1 not in ticks
