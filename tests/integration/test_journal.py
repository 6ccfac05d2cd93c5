"""What bodies say reaches the store: from threads, coroutines and child processes."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mainspring import Queue, current_job
from mainspring.errors import StoreBusy
from mainspring.model.note import MOST_LINES
from mainspring.stores.memory import MemoryStore

IN_CHILDREN = """
    import asyncio
    import os
    import time
    from pathlib import Path

    from mainspring import Queue, current_job

    queue = Queue({url!r}, workers=2, durability="normal", grace=5)
    folder = Path(__file__).parent

    def wait_for(name):
        deadline = time.monotonic() + 30
        while not (folder / name).exists():
            assert time.monotonic() < deadline
            time.sleep(0.002)

    @queue.task(executor="process")
    def speak():
        current_job.progress(0.25, "begun")
        current_job.log("one")
        wait_for("heard")
        current_job.progress(0.75)
        current_job.log("two")
        return current_job.attempt

    @queue.task(executor="process")
    async def speak_on_a_loop():
        current_job.log("loop")
        await asyncio.to_thread(current_job.log, "thread")

    @queue.task(executor="process", retries=0)
    def speak_and_fail():
        current_job.log("last words")
        raise ValueError("no")

    @queue.task(executor="process")
    def chatter():
        for number in range(200_000):
            current_job.progress(number / 200_000)
            current_job.log(number)

    @queue.task(executor="process")
    def speak_and_die():
        if current_job.crashes == 0:
            current_job.log("before the end")
            wait_for("heard")
            os._exit(3)
        current_job.log("again")
"""


@pytest.fixture
def queue(make_queue):
    return make_queue(workers=4)


@pytest.fixture
def children(url, make_app):
    return make_app(IN_CHILDREN.format(url=url))


def texts(queue, job):
    return [line.text for line in queue._store.log(job.id)]


def progress(queue, job):
    record = queue._store.get(job.id)
    return record.progress, record.message


def test_what_a_body_said_is_there_when_its_result_is(queue):
    @queue.task(name="sync")
    def sync():
        current_job.progress(0.5, "half")
        current_job.log("done")

    @queue.task(name="awaited")
    async def awaited():
        await asyncio.sleep(0)
        sync.task.function()

    with queue.worker():
        for job in [task.delay() for task in (sync, awaited) for _ in range(20)]:
            job.result(timeout=10)
            assert (progress(queue, job), texts(queue, job)) == ((1.0, "half"), ["done"])


def test_a_body_that_runs_is_heard(queue, eventually):
    go_on = threading.Event()

    @queue.task(name="long")
    def long():
        current_job.progress(0.3, "waiting")
        assert go_on.wait(30)
        current_job.progress(0.6)

    with queue.worker():
        job = long.delay()
        eventually(lambda: progress(queue, job) == (0.3, "waiting"))
        go_on.set()
        job.result(timeout=10)
        assert progress(queue, job) == (1.0, "waiting")


def test_lines_of_several_attempts_stand_in_order_with_their_attempts(queue):
    @queue.task(name="again", backoff=None)
    def again():
        current_job.log(f"attempt {current_job.attempt}")
        if current_job.attempt < 3:
            raise ValueError("not yet")

    with queue.worker():
        job = again.delay()
        job.result(timeout=30)
    lines = [(line.number, line.text) for line in queue._store.log(job.id)]
    assert lines == [(1, "attempt 1"), (2, "attempt 2"), (3, "attempt 3")]


def test_a_thread_that_was_abandoned_is_not_heard(queue, eventually):
    go_on, spoken = threading.Event(), threading.Event()

    @queue.task(name="overdue", timeout=0.05, retries=0)
    def overdue():
        current_job.log("in time")
        assert go_on.wait(30)
        current_job.log("late")
        current_job.progress(1.0)
        spoken.set()

    with queue.worker():
        job = overdue.delay()
        eventually(lambda: job.status == "failed")
        go_on.set()
        assert spoken.wait(30)
    assert (texts(queue, job), progress(queue, job)) == (["in time"], (0.0, ""))


def test_a_body_that_never_stops_talking_leaves_the_last_lines_and_the_worker_well(queue):
    @queue.task(name="chatter")
    def chatter():
        for number in range(100_000):
            current_job.log(number)
            current_job.progress(number / 100_000)

    @queue.task(name="quiet")
    def quiet():
        return 1

    with queue.worker():
        job = chatter.delay()
        assert quiet.delay().result(timeout=30) == 1
        job.result(timeout=60)
    kept = texts(queue, job)
    assert kept == [str(number) for number in range(100_000)][-MOST_LINES:]


def test_a_store_that_takes_no_notes_fails_no_job_and_gets_them_later(eventually):
    queue = Queue("memory://", workers=2, grace=5)
    well, refused = threading.Event(), threading.Event()
    take = queue._store.note_many

    def note_many(notes):
        if not well.is_set():
            refused.set()
            raise StoreBusy("jobs.db", 30.0, "somebody")
        take(notes)

    queue._store.note_many = note_many

    @queue.task(name="speak")
    def speak():
        current_job.log("kept")

    with queue.worker():
        job = speak.delay()
        job.result(timeout=10)
        assert refused.is_set()
        assert texts(queue, job) == []
        well.set()
        eventually(lambda: texts(queue, job) == ["kept"])


def test_what_was_said_last_is_written_when_the_worker_stops():
    queue = Queue("memory://", workers=2, grace=5)
    well = threading.Event()
    take = queue._store.note_many

    def note_many(notes):
        if not well.is_set():
            raise StoreBusy("jobs.db", 30.0, "somebody")
        take(notes)

    queue._store.note_many = note_many
    worker = queue.worker()

    @queue.task(name="speak")
    def speak():
        current_job.log("last")

    with worker:
        job = speak.delay()
        job.result(timeout=10)
        well.set()
    assert texts(queue, job) == ["last"]


def test_a_child_is_heard_while_its_body_runs_and_at_its_end(children, eventually, tmp_path):
    queue = children.queue
    with queue.worker():
        job = children.speak.delay()
        eventually(lambda: progress(queue, job) == (0.25, "begun"), within=30)
        assert texts(queue, job) == ["one"]
        (tmp_path / "heard").touch()
        assert job.result(timeout=30) == 1
        assert progress(queue, job) == (1.0, "begun")
        assert texts(queue, job) == ["one", "two"]


def test_coroutines_in_children_and_failed_ones_are_heard(children):
    queue = children.queue
    with queue.worker():
        spoken, failed = children.speak_on_a_loop.delay(), children.speak_and_fail.delay()
        spoken.result(timeout=30)
        with pytest.raises(Exception, match="no"):
            failed.result(timeout=30)
        assert texts(queue, spoken) == ["loop", "thread"]
        assert texts(queue, failed) == ["last words"]


def test_a_child_that_never_stops_talking_is_heard_ten_times_a_second(children):
    queue = children.queue
    frames = []
    with queue.worker():
        take = queue._store.note_many
        queue._store.note_many = lambda notes: (frames.append(len(notes)), take(notes))
        job = children.chatter.delay()
        job.result(timeout=60)
        record = queue._store.get(job.id)
        assert texts(queue, job)[-1] == "199999"
        assert len(texts(queue, job)) == MOST_LINES
    seconds = (record.completed_at - record.started_at).total_seconds()
    assert len(frames) <= 2 + 10 * seconds


def test_what_a_child_said_before_it_died_is_kept(children, eventually, tmp_path):
    queue = children.queue
    with queue.worker():
        job = children.speak_and_die.delay()
        eventually(lambda: texts(queue, job) == ["before the end"], within=30)
        (tmp_path / "heard").touch()
        job.result(timeout=30)
        assert texts(queue, job) == ["before the end", "again"]


def test_an_idle_worker_asks_nothing_of_the_journal(eventually, monkeypatch):
    class Counting(MemoryStore):
        asked = 0

        def note_many(self, notes):
            Counting.asked += 1
            super().note_many(notes)

    monkeypatch.setattr("mainspring.queue.binding.open_store", lambda *_, **__: Counting())
    queue = Queue("memory://", workers=2, grace=5)

    @queue.task(name="quiet")
    def quiet():
        return 1

    with queue.worker():
        queue._store.enqueue_many([quiet.call().job] * 50)
        eventually(lambda: queue.stats()["completed"] == 50)
    assert Counting.asked == 0
