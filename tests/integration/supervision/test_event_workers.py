"""Background workers that run when they are triggered."""

import asyncio
import threading

import pytest

from mainspring import background_worker
from mainspring.errors import (
    NotRunning,
)


def test_quick_triggers_are_at_least_one_run_and_at_most_as_many(make, until):
    runs = []
    worker = make(lambda **k: runs.append(1), event=True)
    worker.start()
    for _ in range(10):
        worker.trigger_threadsafe()
    until(lambda: worker.status().state == "idle" and runs)
    worker.stop()
    assert 1 <= len(runs) <= 10


def test_a_trigger_during_a_run_is_exactly_one_more_run(make, until):
    runs, gate = [], threading.Event()

    def work(**kwargs):
        runs.append(1)
        gate.wait(10)

    worker = make(work, event=True)
    worker.start()
    worker.trigger_threadsafe()
    until(lambda: runs)
    for _ in range(5):
        worker.trigger_threadsafe()
    gate.set()
    until(lambda: len(runs) == 2)
    worker.trigger_threadsafe()
    until(lambda: len(runs) == 3)
    worker.stop()
    assert len(runs) == 3


def test_no_trigger_back_to_back_is_lost(make):
    ran = threading.Semaphore(0)
    worker = make(lambda **k: ran.release(), event=True)
    worker.start()
    for _ in range(300):
        worker.trigger_threadsafe()
        assert ran.acquire(timeout=10)


def test_a_payload_reaches_a_target_that_declares_a_positional(supervisor, until):
    got = []
    worker = background_worker(event=True, supervisor=supervisor)(
        lambda task, **kwargs: got.append(task)
    )
    worker.start()
    worker.trigger_threadsafe(payload={"door": 3})
    until(lambda: len(got) == 1)
    asyncio.run(worker.trigger())
    until(lambda: len(got) == 2)
    worker.get_event_obj().set()
    until(lambda: len(got) == 3)
    assert got == [{"door": 3}, None, None]


def test_an_argument_that_the_worker_gives_is_no_place_for_a_payload(supervisor, until):
    got = []

    def by_worker(_worker):
        got.append(_worker)

    def by_object(o=None, **_):
        got.append(o)

    def behind(task, _worker):
        got.append((task, _worker))

    workers = []
    for target in (by_worker, by_object, behind):
        worker = background_worker(event=True, supervisor=supervisor, o="mine")(target)
        worker.start()
        worker.trigger_threadsafe(payload="door")
        workers.append(worker)
        until(lambda: len(got) == len(workers))
    assert got == [workers[0], "mine", ("door", workers[2])]


def test_a_trigger_of_a_worker_that_is_not_started_is_an_error(make):
    worker = make(lambda **k: None, event=True)
    with pytest.raises(NotRunning):
        worker.trigger_threadsafe()


def test_the_event_of_an_event_worker_can_be_set_looked_at_and_cleared(make, until):
    runs, gate = [], threading.Event()

    def work(**kwargs):
        runs.append(1)
        gate.wait(10)

    worker = make(work, event=True)
    with pytest.raises(NotRunning):
        worker.get_event_obj()
    worker.start()
    event = worker.get_event_obj()
    event.set()
    until(lambda: runs)
    assert not event.is_set()
    event.set()
    assert event.is_set()
    event.clear()
    worker.trigger_threadsafe()
    worker.trigger_threadsafe(skip=True)
    gate.set()
    until(lambda: worker.status().state == "idle")
    assert worker.stop()
    assert runs == [1]
