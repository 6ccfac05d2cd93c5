"""Nodes that die, stop, come back or share the work: real processes over one file."""

from __future__ import annotations

import os
import signal
import time

import pytest

from histories import outcomes

APP = """
    import asyncio
    import os
    import signal
    import time
    from pathlib import Path

    from mainspring import Queue

    queue = Queue(
        db_path="jobs.db", workers=4, durability="normal", grace=5, lease=1, heartbeat=0.3
    )
    HERE = Path(__file__).parent
    go = HERE / "go"

    def write(line):
        diary = os.open(HERE / "diary.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(diary, f"{line} {os.getpid()}\\n".encode())
        os.close(diary)

    @queue.task
    def noop():
        pass

    @queue.task
    def thread_hold(number):
        write(f"begin {number}")
        while not go.exists():
            time.sleep(0.005)
        return os.getpid()

    @queue.task
    async def async_hold(number):
        write(f"begin {number}")
        while not go.exists():
            await asyncio.sleep(0.005)
        return os.getpid()

    @queue.task
    def fork_hold(number):
        write(f"begin {number}")
        if os.fork() == 0:
            write("fork")
            os.closerange(0, 3)
            time.sleep(60)
            os._exit(0)
        while not go.exists():
            time.sleep(0.005)
        return os.getpid()
"""


def diary(folder, what):
    path = folder / "diary.txt"
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if line[0] == what]


def pids(app):
    return {node.pid for node in app.queue._store.nodes()}


@pytest.mark.parametrize("task", ["thread_hold", "async_hold"])
def test_a_worker_that_was_stopped_past_its_lease_is_refused_and_goes_on_as_a_new_node(
    make_app, start_worker, stop, tmp_path, eventually, task
):
    app = make_app(APP)
    zombie = start_worker()
    job = getattr(app, task).delay(1)
    eventually(lambda: diary(tmp_path, "begin"), within=20)
    (old,) = app.queue._store.nodes()
    stop(zombie)
    other = start_worker()
    eventually(lambda: len(diary(tmp_path, "begin")) == 2, within=20)
    assert pids(app) == {other.process.pid}
    zombie.send(signal.SIGCONT)
    eventually(lambda: pids(app) == {other.process.pid, zombie.process.pid}, within=20)
    assert old.name not in {node.name for node in app.queue._store.nodes()}
    (tmp_path / "go").touch()
    assert job.result(timeout=10) == other.process.pid
    assert outcomes(job) == ["crashed", "completed"]
    other.send(signal.SIGTERM)
    assert other.wait() == 0
    assert getattr(app, task).delay(2).result(timeout=20) == zombie.process.pid
    assert "did not renew its lease in time" in zombie.output()
    assert len(app.queue._store.nodes()) == 1
    zombie.send(signal.SIGTERM)
    assert zombie.wait() == 0
    assert app.queue._store.nodes() == []


def test_a_forked_child_of_a_job_does_not_keep_a_killed_worker_alive(
    make_app, start_worker, tmp_path, eventually
):
    app = make_app(APP.replace("lease=1, heartbeat=0.3", "lease=60"))
    victim = start_worker()
    job = app.fork_hold.delay(1)
    ((_, forked),) = eventually(lambda: diary(tmp_path, "fork"), within=20)
    try:
        victim.kill()
        os.kill(int(forked), 0)  # it lives on
        start_worker()
        eventually(lambda: len(diary(tmp_path, "begin")) == 2, within=10)
        (tmp_path / "go").touch()
        job.result(timeout=10)
    finally:
        for _, pid in diary(tmp_path, "fork"):
            os.kill(int(pid), signal.SIGKILL)


@pytest.mark.parametrize("task", ["thread_hold", "async_hold"])
def test_no_job_waits_on_a_busy_node_while_a_slot_elsewhere_is_free(
    make_app, start_worker, tmp_path, eventually, task
):
    app = make_app(APP.replace("workers=4", "workers=4, async_slots=4"))
    workers = [start_worker(), start_worker()]
    eventually(lambda: len(pids(app)) == 2, within=20)
    noops = app.noop.map([()] * 3_000)
    noops[-1].result(timeout=20)
    jobs = getattr(app, task).map([(number,) for number in range(8)])
    eventually(lambda: len(diary(tmp_path, "begin")) == 8, within=5)
    (tmp_path / "go").touch()
    ran_in = [job.result(timeout=10) for job in jobs]
    assert sorted(ran_in.count(worker.process.pid) for worker in workers) == [4, 4]
    assert {app.queue._store.get(job.id).attempts for job in jobs} == {1}


POISON = """
    import ctypes
    import os
    from mainspring import Queue

    queue = Queue(db_path="jobs.db", workers=1, durability="normal")

    @queue.task
    def noop():
        pass

    @queue.task
    def leave():
        os._exit(3)

    @queue.task
    def crash():
        ctypes.string_at(0)
"""


def test_a_job_that_kills_its_worker_fails_after_three_crashes_and_its_neighbours_do_not(
    make_app, start_worker, eventually
):
    app = make_app(POISON)
    first = app.noop.map([()] * 200)
    poison = [app.leave.delay(), app.crash.delay()]
    last = app.noop.map([()] * 200)
    workers = []

    def ended():
        if not workers or workers[-1].process.poll() is not None:
            workers.append(start_worker())
        return {job.status for job in poison} == {"failed"}

    eventually(ended, within=40)
    workers.append(start_worker())
    eventually(lambda: app.queue.stats()["completed"] == 400, within=20)
    for job in poison:
        assert "WorkerLost" in job.error
        assert outcomes(job) == ["crashed", "crashed", "failed"]
    assert {app.queue._store.get(job.id).crashes for job in [*first, *last]} == {0}


STUCK = """
    import re
    import time
    from pathlib import Path
    from mainspring import Queue

    queue = Queue(db_path="jobs.db", workers=1, durability="normal", grace=0.5)
    begun = Path(__file__).with_name("begun")

    @queue.task
    async def block():
        begun.touch()
        time.sleep(60)

    @queue.task(executor="process")
    def stuck_in_c():
        begun.touch()
        re.match(r"(a+)+$", "a" * 60 + "b")

    @queue.task
    def sleep():
        begun.touch()
        time.sleep(60)
"""


@pytest.mark.parametrize("task", ["block", "stuck_in_c", "sleep"])
def test_a_worker_with_a_stuck_body_stops_with_code_0_and_releases_the_job(
    make_app, start_worker, tmp_path, eventually, task
):
    app = make_app(STUCK)
    worker = start_worker()
    job = getattr(app, task).delay()
    eventually((tmp_path / "begun").exists, within=20)
    worker.send(signal.SIGTERM)
    began = time.monotonic()
    assert worker.wait(20) == 0, worker.output()
    assert time.monotonic() - began < 10
    assert job.status == "pending"
    assert app.queue._store.nodes() == []
