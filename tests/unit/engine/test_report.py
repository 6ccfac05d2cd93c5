"""What nodes say of themselves, and what can be seen from it: jobs that nobody would take."""

from __future__ import annotations

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
from mainspring.model.job import NewJob
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
        frozenset({"a", "b"}), frozenset({"default", "mail"})
    )
    assert (serves["tasks"], serves["queues"]) == (["a", "b"], ["default", "mail"])
    assert datetime.fromisoformat(serves["started_at"]).tzinfo is not None
    assert serves["version"]
    idle = {"running": 0, "waiting": 0, "abandoned": 0}
    assert report["slots"] == {"async": {"size": 7, **idle}, "thread": {"size": 3, **idle}}
    assert (report["in_flight"], report["restarts"], report["draining"]) == (0, {}, False)
    assert report["loop_lag"] is None or report["loop_lag"] < 5


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
