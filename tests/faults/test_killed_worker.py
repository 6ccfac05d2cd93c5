"""kill -9, again and again: nothing is lost, nothing fails, everything is recorded once."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter

import pytest

JOBS = 2_000
KILLS = 20

APP = """
    import asyncio
    import os
    import time
    from pathlib import Path

    from mainspring import Queue

    queue = Queue(db_path="jobs.db", workers=8, durability="normal")
    DIARY = Path(__file__).with_name("diary.txt")

    def write(line):
        diary = os.open(DIARY, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(diary, f"{line}\\n".encode())
        os.close(diary)

    @queue.task
    def thread_job(number):
        write(f"begin {number} {time.time()}")
        time.sleep(0.015)
        write(f"end {number}")
        return number

    @queue.task(executor="process")
    def process_job(number):
        write(f"begin {number} {time.time()} {os.getpid()} {os.getppid()}")
        time.sleep(0.015)
        write(f"end {number}")
        return number

    def hold(number):
        write(f"begin {number} {time.time()}")
        while not DIARY.with_name("go").exists():
            time.sleep(0.01)
        return number

    @queue.task
    def thread_hold(number):
        return hold(number)

    @queue.task(executor="process")
    def process_hold(number):
        return hold(number)

    @queue.task
    async def async_hold(number):
        write(f"begin {number} {time.time()}")
        while not DIARY.with_name("go").exists():
            await asyncio.sleep(0.01)
        return number

    @queue.task
    def quick_job(number):
        write(f"begin {number} {time.time()}")
        write(f"end {number}")
        return number
"""


def diary(folder):
    path = folder / "diary.txt"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def begun_after(folder, moment):
    return [
        float(line[2]) for line in diary(folder) if line[0] == "begin" and float(line[2]) > moment
    ]


def processes():
    """Return (pid, parent) of every process that has not ended; a zombie has."""
    listed = subprocess.run(["ps", "-axo", "pid=,ppid=,stat="], capture_output=True, check=True)
    rows = [line.split() for line in listed.stdout.decode().splitlines()]
    return {int(pid): int(parent) for pid, parent, state in rows if not state.startswith("Z")}


def children(pid):
    return {child for child, parent in processes().items() if parent == pid}


def alive(pids):
    return pids & processes().keys()


def kill_soon(worker, folder, eventually, delay):
    """Kill a worker some time after its first job has begun, and see that no child outlives it."""
    started = time.time()
    eventually(lambda: begun_after(folder, started), within=15)
    time.sleep(delay)
    offspring = children(worker.process.pid)
    worker.kill()
    eventually(lambda: not alive(offspring), within=1.0)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("task", ["thread_job", "process_job", "quick_job"])
def test_no_job_is_lost_or_fails_in_20_kills(make_app, start_worker, tmp_path, eventually, task):
    app = make_app(APP)
    jobs = getattr(app, task).map([(number,) for number in range(JOBS)])
    chance = random.Random(20)
    for _ in range(KILLS):
        kill_soon(start_worker(), tmp_path, eventually, delay=chance.random() * 0.3)
        if app.queue.stats()["completed"] == JOBS:
            break
    start_worker()
    eventually(lambda: app.queue.stats()["completed"] == JOBS, within=120)
    stats = app.queue.stats()
    assert (stats["pending"], stats["running"], stats["failed"]) == (0, 0, 0)
    ended = Counter(int(line[1]) for line in diary(tmp_path) if line[0] == "end")
    assert set(ended) == set(range(JOBS))
    assert [job.result(timeout=1) for job in jobs] == list(range(JOBS))
    for job in jobs:
        outcomes = [entry.outcome for entry in job.history]
        assert outcomes.count("completed") == 1
        assert outcomes[-1] == "completed"


HELD = 4


@pytest.mark.parametrize("task", ["thread_hold", "process_hold", "async_hold"])
@pytest.mark.parametrize("when", ["while another lives", "before another starts"])
def test_a_job_of_a_killed_worker_runs_again_within_two_seconds(
    make_app, start_worker, tmp_path, eventually, task, when
):
    app = make_app(APP)
    victim = start_worker()
    jobs = getattr(app, task).map([(number,) for number in range(HELD)])
    eventually(lambda: len(begun_after(tmp_path, 0)) == HELD, within=20)
    if when == "while another lives":
        start_worker()
        app.thread_job.delay(-1).result(timeout=20)
        victim.kill()
        since = time.time()
    else:
        victim.kill()
        since = time.time()
        start_worker()
    begun = eventually(
        lambda: len(moments := begun_after(tmp_path, since)) >= HELD and moments, within=20
    )
    assert max(begun) - since < 2
    (tmp_path / "go").touch()
    assert [job.result(timeout=10) for job in jobs] == list(range(HELD))
    for job in jobs:
        assert [entry.outcome for entry in job.history] == ["crashed", "completed"]
        assert job.history[-1].failure is None
