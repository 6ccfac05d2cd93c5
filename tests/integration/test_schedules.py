"""Schedules ticked by consumers: in one process, and by several at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise

import pytest
from msgspec.structs import replace

from mainspring import Queue
from mainspring.engine.consumer import Consumer
from mainspring.errors import StoreBusy
from mainspring.model.events import ScheduleTicked, ServiceCrashed
from mainspring.model.timetable import NewSchedule, RuleText

PROGRAM = """
    import sys
    from msgspec.structs import replace
    from mainspring import Queue
    from mainspring.engine.consumer import Consumer
    from mainspring.model.timetable import NewSchedule, RuleText

    queue = Queue(sys.argv[1], workers=2, durability="normal", grace=5)

    @queue.task(name="tick")
    def tick():
        pass

    rule = RuleText(every=0.05)
    schedules = (NewSchedule("fast", rule, "tick", "default", b"[[],{}]", catch_up="all"),)
    Consumer(replace(queue._consumers.config(), schedules=schedules)).run()
"""


def fast(name="fast", every=0.05, catch_up="all"):
    return NewSchedule(
        name, RuleText(every=every), "tick", "default", b"[[],{}]", catch_up=catch_up
    )


def make_queue(url):
    queue = Queue(url, workers=2, durability="normal", grace=5)

    @queue.task(name="tick")
    def tick():
        pass

    return queue


@pytest.fixture
def queue():
    queue = make_queue("memory://")
    yield queue
    queue.close()


@contextmanager
def consumer(queue, *schedules, told):
    made = Consumer(replace(queue._consumers.config(), schedules=schedules))
    made.subscribe(told.append)
    made.start()
    try:
        yield made
    finally:
        made.shutdown()
        made.wait()


def ticked(told):
    return [event for event in list(told) if isinstance(event, ScheduleTicked)]


def test_a_worker_makes_the_ticks_of_the_schedules_it_declares(queue, eventually):
    told = []
    with consumer(queue, fast(), told=told):
        eventually(lambda: queue.stats()["completed"] >= 10)
    ticks = [event.tick for event in ticked(told)]
    steps = {later - earlier for earlier, later in pairwise(ticks)}
    assert all(step % timedelta(seconds=0.05) == timedelta() for step in steps)


def test_two_workers_make_each_tick_once(queue, eventually):
    told = []
    with consumer(queue, fast(), told=told), consumer(queue, fast(), told=told):
        eventually(lambda: queue.stats()["completed"] >= 30)
    ticks = [event.tick for event in ticked(told)]
    assert len(set(ticks)) == len(ticks)
    record = queue._store.schedules().schedules[0]
    counts = queue.stats()
    made = (record.last_tick - record.anchor) // timedelta(seconds=0.05)
    assert counts["completed"] + counts["pending"] == made


def test_a_store_in_trouble_costs_no_tick(queue, eventually):
    tick, troubles = queue._store.tick, []

    def troubled(*args, **kwargs):
        if len(troubles) < 3:
            troubles.append(1)
            raise StoreBusy("jobs.db", 30.0, "somebody")
        return tick(*args, **kwargs)

    queue._store.tick = troubled
    told = []
    with consumer(queue, fast(), told=told):
        eventually(lambda: len(ticked(told)) >= 3)
    assert [event.service for event in told if isinstance(event, ServiceCrashed)] == [
        "scheduler"
    ] * 3
    record = queue._store.schedules().schedules[0]
    made = (record.last_tick - record.anchor) // timedelta(seconds=0.05)
    assert sum(len(event.job_ids) for event in ticked(told)) == made


def test_worker_processes_make_each_tick_once_also_when_one_is_killed(tmp_path, eventually):
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    queue = make_queue(url)
    command = (sys.executable, "-c", textwrap.dedent(PROGRAM), url)
    workers = [subprocess.Popen(command) for _ in range(3)]
    try:
        eventually(lambda: queue.stats()["completed"] >= 20, within=30)
        workers[0].kill()
        seen = queue.stats()["completed"]
        eventually(lambda: queue.stats()["completed"] >= seen + 20, within=30)
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        codes = [worker.wait(30) for worker in workers]
    assert codes == [-signal.SIGKILL, 0, 0]
    record = queue._store.schedules().schedules[0]
    counts = queue.stats()
    made = (record.last_tick - record.anchor) // timedelta(seconds=0.05)
    assert sum(counts[state] for state in ("completed", "pending", "running")) == made
    queue.close()
