"""A worker whose threads are stuck: the command starts anew, in process it says so and rests."""

from __future__ import annotations

import signal

import pytest

from mainspring import JobFailed, JobState, Queue
from mainspring.model.events import ConsumerUnhealthy

APP = """
    import asyncio
    import os
    import threading
    from pathlib import Path

    from mainspring import Queue

    queue = Queue("memory://", workers=2, grace=8)
    notes = Path(__file__).with_name("notes")

    @queue.task(timeout=0.1, retries=0)
    def stuck():
        threading.Event().wait(600)

    @queue.task
    def note(name):
        with notes.open("a") as file:
            file.write(f"{name} {os.getpid()} {os.environ['MARK']} {os.getcwd()}\\n")

    @queue.task
    async def long():
        while not notes.with_name("go").exists():
            await asyncio.sleep(0.01)
        notes.with_name("gone").touch()

    if notes.exists():
        note.delay("second")
    else:
        note(name="first")
        long.delay()
        stuck.map([(), ()])
"""


@pytest.fixture
def worker(tmp_path, start_worker):
    (tmp_path / "app.py").write_text("\n".join(line[4:] for line in APP.splitlines()))
    return start_worker(env={"MARK": "the same"})


def test_the_command_drains_and_starts_itself_anew(worker, tmp_path, eventually):
    eventually(lambda: "start anew" in worker.output(), within=20)
    assert not (tmp_path / "gone").exists()
    (tmp_path / "go").touch()
    notes = tmp_path / "notes"
    eventually(lambda: len(notes.read_text().splitlines()) == 2, within=20)
    first, second = (line.split(" ", 1) for line in notes.read_text().splitlines())
    assert (first[0], second[0]) == ("first", "second")
    assert first[1] == second[1] == f"{worker.process.pid} the same {tmp_path}"
    assert (tmp_path / "gone").exists()
    assert worker.output().count("Starting worker...") == 2
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    assert worker.output().count("Starting worker...") == 2


def test_a_signal_in_the_midst_of_it_ends_the_worker_for_good(worker, eventually):
    eventually(lambda: "start anew" in worker.output(), within=20)
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    assert worker.output().count("Starting worker...") == 1


def test_in_process_it_tells_and_takes_no_thread_jobs_until_one_ends(gate, eventually, monkeypatch):
    monkeypatch.setattr("mainspring.engine.claims.slots.REST_SECONDS", 0.02)
    queue = Queue("memory://", workers=2, grace=0.2)
    told = []
    queue.subscribe(told.append)
    stuck = queue.task(name="stuck", timeout=0.05, retries=0)(lambda: gate.wait(60))
    noop = queue.task(name="noop")(lambda: 1)

    @queue.task(name="anoop")
    async def anoop():
        return 2

    def unhealthy():
        return [event for event in told if isinstance(event, ConsumerUnhealthy)]

    with queue.worker():
        for job in stuck.map([(), ()]):
            with pytest.raises(JobFailed):
                job.result(timeout=10)
        eventually(unhealthy)
        job = noop.delay()
        for _ in range(5):  # several looks
            assert anoop.delay().result(timeout=10) == 2
        assert job.status == JobState.PENDING
        assert [event.abandoned for event in unhealthy()] == [2]
        gate.set()
        assert job.result(timeout=10) == 1
    queue.close()
