"""What nodes say of themselves, and what can be seen from it: jobs that nobody would take."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from datetime import datetime

import pytest

from mainspring import Queue, TaskSupervisor, background_worker
from mainspring.engine.upkeep.unclaimable import UnclaimableJobs
from mainspring.errors import InvalidOption
from mainspring.model.capabilities import Capabilities, capabilities_of
from mainspring.model.events import JobsUnclaimable
from mainspring.model.job import NewJob, Want
from mainspring.stores.memory import MemoryStore
from mainspring.telemetry.log import log_event


@pytest.fixture
def queue(make_queue):
    return make_queue(workers=3, async_slots=7, lease=2, heartbeat=0.05)


def test_a_node_says_what_it_serves_and_how_it_is(queue, eventually):
    queue.task(name="b")(lambda: None)

    @queue.task(name="a")
    async def a():
        pass

    with queue.worker(queues=["default", "mail"]):
        (node,) = queue._store.nodes()
        eventually(lambda: "loop_lag" in json.loads(queue._store.nodes()[0].report))
        (after,) = queue._store.nodes()
    serves, report = json.loads(node.serves), json.loads(after.report)
    assert capabilities_of(node) == Capabilities(
        frozenset({"a", "b"}),
        frozenset({"default", "mail"}),
        kinds={"thread": frozenset({"b"}), "async": frozenset({"a"})},
    )
    assert serves["kinds"] == {"thread": ["b"], "async": ["a"]}
    assert (serves["tasks"], serves["queues"]) == (["a", "b"], ["default", "mail"])
    assert datetime.fromisoformat(serves["started_at"]).tzinfo is not None
    assert serves["version"]
    idle = {"running": 0, "waiting": 0, "abandoned": 0}
    assert report["slots"] == {"async": {"size": 7, **idle}, "thread": {"size": 3, **idle}}
    assert (report["in_flight"], report["restarts"], report["draining"]) == (0, {}, False)
    assert (report["lease"], report["heartbeat"]) == (2, 0.05)
    assert report["loop_lag"] is None or report["loop_lag"] < 5


@pytest.fixture
def silent(make_queue):
    """A queue whose worker reports once, when it starts."""
    return make_queue(workers=2, async_slots=7, lease=600, heartbeat=300)


def slots_of(queue):
    """Return how many slots of each kind are busy, in `stats()` and for the only node."""
    (node,) = queue.nodes()
    in_sum = {kind: load["busy"] for kind, load in queue.stats()["slots"].items()}
    return [in_sum, {kind: load["running"] for kind, load in node.report["slots"].items()}]


def test_busy_slots_are_told_at_once_whatever_was_reported_last(silent, eventually):
    go = threading.Event()
    block = silent.task(name="block")(lambda: go.wait(30))
    with silent.worker():
        eventually(lambda: silent.nodes()[0].reported_at)
        assert slots_of(silent) == [{"thread": 0}] * 2
        first = block.delay()
        eventually(lambda: first.started_at)
        assert slots_of(silent) == [{"thread": 1}] * 2
        jobs = [first, *(block.delay() for _ in range(5))]
        eventually(lambda: slots_of(silent) == [{"thread": 2}] * 2)
        go.set()
        for job in jobs:
            job.result(timeout=30)
        eventually(lambda: slots_of(silent) == [{"thread": 0}] * 2)
        assert json.loads(silent._store.nodes()[0].report)["slots"]["thread"]["running"] == 0


def test_busy_slots_of_several_kinds_are_told_apart_at_once(silent, eventually):
    go = threading.Event()
    block = silent.task(name="block")(lambda: go.wait(30))

    @silent.task(name="wait")
    async def wait():
        while not go.is_set():
            await asyncio.sleep(0.01)

    with silent.worker():
        eventually(lambda: silent.nodes()[0].reported_at)
        assert slots_of(silent) == [{"thread": 0, "async": 0}] * 2
        jobs = [block.delay(), *(wait.delay() for _ in range(3))]
        eventually(lambda: slots_of(silent) == [{"thread": 1, "async": 3}] * 2)
        go.set()
        for job in jobs:
            job.result(timeout=30)
        eventually(lambda: slots_of(silent) == [{"thread": 0, "async": 0}] * 2)


def test_busy_slots_of_a_task_of_unknown_kind_are_those_that_were_reported(silent):
    store, load = silent._store, {"waiting": 0, "abandoned": 0}
    kinds = {"thread": ["a"], "async": []}
    report = {"slots": {kind: {"size": 4, "running": 3, **load} for kind in kinds}}
    node = store.join("n", host="h", pid=1, lease=60, serves=json.dumps({"kinds": kinds}).encode())
    store.renew(node, lease=60, report=json.dumps(report).encode())
    store.enqueue_many([NewJob(task, "q", b"[[],{}]") for task in "ab"])
    store.claim(node, [Want(("a",), None, 1)])
    assert slots_of(silent) == [{"thread": 1, "async": 0}] * 2
    store.claim(node, [Want(("b",), None, 1)])
    assert slots_of(silent) == [{"thread": 3, "async": 3}] * 2
    assert silent.nodes()[0].report["slots"]["thread"] == {"size": 4, "running": 3, **load}


def test_a_node_tells_of_the_background_workers_of_its_process(queue, eventually):
    fails = threading.Event()
    supervisor = TaskSupervisor()

    @background_worker(interval=0.05, name="sensor", supervisor=supervisor)
    def read_sensor(**kwargs):
        if fails.is_set():
            raise OSError("unplugged")

    queue.task(name="a")(lambda: None)
    with queue.worker():
        supervisor.start()
        read_sensor.start()
        try:
            told = eventually(lambda: [one for node in queue.nodes() for one in node.workers])
            assert [(one.name, one.kind) for one in told] == [("sensor", "interval")]
            fails.set()
            eventually(lambda: any(one.failing for one in queue.nodes()[0].workers))
            assert "unplugged" in queue.nodes()[0].workers[0].error
            assert queue.nodes()[0].workers[0].moment.tzinfo is not None
        finally:
            supervisor.stop()
        eventually(lambda: not queue.nodes()[0].workers)


def test_it_is_told_with_the_number_of_jobs_and_logged(caplog):
    store, told = MemoryStore(), []
    seen = []
    unclaimable = UnclaimableJobs(store, told.append, seen.append)
    unclaimable.look()
    assert told == []
    store.enqueue_many([NewJob("send", "mail", b"[[],{}]")] * 3)
    unclaimable.look()
    ((lane,),) = [one.lanes for one in told]
    assert (lane.queue, lane.task, lane.pending) == ("mail", "send", 3)
    with caplog.at_level(logging.WARNING):
        log_event(told[0])
    assert "3 jobs wait that no worker would take: 3 of send in mail" in caplog.text
    assert seen == [[], [lane]]


def test_a_worker_looks_for_them(monkeypatch, eventually):
    monkeypatch.setattr("mainspring.engine.consumer.UNCLAIMABLE_SECONDS", 0.02)
    queue, told = Queue("memory://", workers=1), []
    queue.subscribe(told.append)
    queue._store.enqueue_many([NewJob("unknown", "default", b"[[],{}]")])
    with queue.worker():
        eventually(lambda: [one for one in told if isinstance(one, JobsUnclaimable)])


@pytest.mark.parametrize(
    "options",
    [
        {"keep_completed": -1},
        {"keep_failed": "a day"},
        {"max_tasks_per_child": 0},
        {"max_tasks_per_child": 2.5},
        {"max_memory_per_child": True},
    ],
)
def test_options_that_make_no_sense_are_told_at_once(options):
    with pytest.raises(InvalidOption, match=next(iter(options))):
        Queue("memory://", **options)


def test_jobs_are_kept_as_long_as_the_queue_says(monkeypatch, eventually):
    monkeypatch.setattr("mainspring.engine.consumer.PURGE_SECONDS", 0.02)
    queue = Queue("memory://", workers=1, keep_completed=0, keep_failed=60)
    good = queue.task(name="good")(lambda: None)
    bad = queue.task(name="bad", retries=0)(lambda: 1 / 0)
    with queue.worker():
        jobs = [good.delay(), bad.delay()]
        eventually(lambda: queue.get_job(jobs[0].id) is None)
        eventually(lambda: jobs[1].status == "failed")
    assert queue.get_job(jobs[1].id) is not None


CHILDREN = """
    import os
    from mainspring import Queue, TaskSupervisor, background_worker

    queue = Queue("memory://", workers=1, {options})
    hoard = []

    @queue.task(executor="process")
    def pid(megabytes=0):
        hoard.append(b"x" * (megabytes << 20))
        return os.getpid()
"""


def test_a_child_is_replaced_after_so_many_jobs(make_app):
    app = make_app(CHILDREN.format(options="max_tasks_per_child=2"))
    with app.queue.worker():
        pids = [app.pid.delay().result(timeout=20) for _ in range(6)]
    assert [pids.count(one) for one in dict.fromkeys(pids)] == [2, 2, 2]


def test_a_child_that_has_grown_too_large_is_replaced_after_its_job(make_app):
    app = make_app(CHILDREN.format(options="max_memory_per_child=200 << 20"))
    with app.queue.worker():
        first = [app.pid.delay().result(timeout=20) for _ in range(2)]
        large = app.pid.delay(300).result(timeout=20)
        after = app.pid.delay().result(timeout=20)
    assert first == [large, large]
    assert after != large
