"""Where the body of a running job is: asked through the store, answered in the job's log."""

from __future__ import annotations

import asyncio

import pytest

from mainspring import Queue
from mainspring.engine import consumer
from mainspring.engine.upkeep import stack_dumps
from mainspring.model.stack_request import DEMAND_SECONDS, STACK, TITLE

IN_A_CHILD = """
    import re
    from mainspring import Queue

    queue = Queue(db_path="jobs.db", workers=2, durability="normal", grace=0)

    def stuck_here():
        return re.match(r"(a+)+$", "a" * 64 + "b")

    @queue.task(executor="process", retries=0)
    def blocks():
        return stuck_here()
"""


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(consumer, "STACK_SECONDS", 0.02)
    monkeypatch.setattr(stack_dumps, "LONG_SECONDS", 0.0)


@pytest.fixture
def queue():
    made = Queue("memory://", workers=2, grace=1)
    yield made
    made.close()


def stuck_here(gate):
    gate.wait(30)


async def awaits_here(gate):
    while not gate.is_set():
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_a_stack_is_asked_for_and_comes_to_the_log(kind, queue, gate, eventually):
    @queue.task(name="thread")
    def blocks():
        stuck_here(gate)

    @queue.task(name="async")
    async def waits():
        await awaits_here(gate)

    other = queue.get_task("thread").using(delay=900).delay()
    job = queue.get_task(kind).delay()
    with queue.worker():
        eventually(lambda: job.refresh().status == "running")
        assert job.dump_stack()
        lines = eventually(lambda: [line.text for line in job.log])
        assert lines[0] == TITLE
        place = {"thread": "in stuck_here", "async": "in awaits_here"}[kind]
        assert any(place in line for line in lines)
        assert not other.dump_stack()
        # Each is answered once, however often the worker looks.
        job.dump_stack()
        eventually(lambda: [line.text for line in job.log].count(TITLE) >= 2)
        assert [line.text for line in job.log].count(TITLE) == 2
        gate.set()
        job.result(timeout=10)
    assert not job.dump_stack()
    assert other.log == []


def test_a_body_in_a_child_process_is_told_of(make_app, eventually):
    app = make_app(IN_A_CHILD)
    job, other = app.blocks.delay(), app.blocks.delay()
    with app.queue.worker():
        eventually(lambda: [one.refresh().status for one in (job, other)] == ["running"] * 2)

        def told():
            job.dump_stack()
            return [line.text for line in job.log if "in stuck_here" in line.text]

        eventually(told)
        assert any("match(" in line.text for line in job.log)
        app.queue.cancel([job, other])
        eventually(lambda: job.refresh().status == "cancelled")
    assert other.log == []


def test_odd_requests_of_somebody_else_are_passed_over(queue, gate, eventually):
    job = queue.task(name="blocks")(lambda: gate.wait(30)).delay()
    for text in (b"x", b"[]", b'{"job": 3}', b'{"job": "9-none"}'):
        queue.store.add_entry(STACK, text)
    with queue.worker():
        eventually(lambda: job.refresh().status == "running")
        job.dump_stack()
        eventually(lambda: job.log)
        gate.set()
        job.result(timeout=10)


def test_a_worker_without_long_bodies_does_not_ask_the_store(queue, monkeypatch):
    asked = []
    monkeypatch.setattr(queue.store, "entries", lambda *_, **__: asked.append(1))
    dumps = stack_dumps.StackDumps(queue.store, list)
    dumps.look()
    assert asked == []
    assert DEMAND_SECONDS > 10 * consumer.STACK_SECONDS
