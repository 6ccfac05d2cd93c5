"""kill -9, again and again: nothing is lost, nothing fails, everything is recorded once."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from histories import outcomes

SHARED = ["sqlite", "redis", "postgres"]
"""Kinds of stores whose jobs outlive a process."""

APP = """
    import asyncio
    import os
    import time
    from pathlib import Path

    from mainspring import Queue

    queue = Queue("sqlite:///jobs.db", workers=8, durability="normal")
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
    async def async_job(number):
        write(f"begin {number} {time.time()}")
        await asyncio.sleep(0.015)
        write(f"end {number}")
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
    kill_with_children(worker, eventually)


def kill_with_children(worker, eventually):
    offspring = children(worker.process.pid)
    worker.kill()
    eventually(lambda: not alive(offspring), within=1.0)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("url", "kills", "count"),
    [
        ("sqlite", 5, 400),
        *(pytest.param(url, 20, 2_000, marks=pytest.mark.long) for url in SHARED),
    ],
    indirect=["url"],
)
@pytest.mark.parametrize("task", ["thread_job", "process_job", "quick_job"])
def test_no_job_is_lost_or_fails_in_a_drain_of_many_kills(
    make_app, start_worker, tmp_path, eventually, url, kills, count, task
):
    app = make_app(APP.replace("sqlite:///jobs.db", url))
    jobs = getattr(app, task).map([(number,) for number in range(count)])
    chance = random.Random(20)
    for _ in range(kills):
        kill_soon(start_worker(), tmp_path, eventually, delay=chance.random() * 0.3)
        if app.queue.stats()["completed"] == count:
            break
    start_worker()
    eventually(lambda: app.queue.stats()["completed"] == count, within=120)
    stats = app.queue.stats()
    assert (stats["pending"], stats["running"], stats["failed"]) == (0, 0, 0)
    ended = Counter(int(line[1]) for line in diary(tmp_path) if line[0] == "end")
    assert set(ended) == set(range(count))
    assert [job.result(timeout=1) for job in jobs] == list(range(count))
    for job in jobs:
        assert_completed_once(job)


def assert_completed_once(job):
    *before, last = outcomes(job)
    assert last == "completed"
    assert set(before) <= {"crashed"}


ROUNDS = 20


@pytest.mark.long
@pytest.mark.timeout(300)
def test_no_job_is_lost_when_one_of_two_workers_with_work_of_every_kind_dies_20_times(
    make_app, start_worker, tmp_path, eventually
):
    app = make_app(APP)
    chance = random.Random(2)
    workers = [start_worker(), start_worker()]
    jobs = []
    for place in range(ROUNDS):
        numbers = range(place * 400, (place + 1) * 400)
        kinds = [app.thread_job, app.process_job, app.async_job, app.quick_job]
        calls = [kinds[number % 4].call(number) for number in numbers]
        since = time.time()
        jobs += app.queue.enqueue_many(calls)
        eventually(lambda since=since: begun_after(tmp_path, since), within=20)
        time.sleep(chance.random() * 0.2)
        kill_with_children(workers.pop(chance.randrange(2)), eventually)
        workers.append(start_worker())
    eventually(lambda: app.queue.stats()["completed"] == len(jobs), within=120)
    assert [job.result(timeout=1) for job in jobs] == list(range(len(jobs)))
    crashed = [job for job in jobs if "crashed" in {entry.outcome for entry in job.history}]
    assert crashed, "no kill has hit a body"
    for job in jobs:
        assert_completed_once(job)


HELD = 4
WITHIN = 2.0
SETTLED = 0.7


def starved(pid):
    """Seconds for which a process had a thread ready and the machine ran others: the worst thread.

    It is the kernel's count, near 0 on a machine that has CPUs to spare, and always 0 where the
    kernel doesn't count: there a machine that is too busy looks like a slow worker.
    """
    nanoseconds = [0]
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):  # a thread may end meanwhile
            nanoseconds.append(int(path.read_text().split()[1]))
    return max(nanoseconds) / 1e9


def starved_on_the_way(worker):
    """Seconds that a redelivery may have lost so: in the worker, then in one of its children."""
    pid = worker.process.pid
    return starved(pid) + max(map(starved, children(pid)), default=0.0)


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
        rescuer = start_worker()
        eventually(lambda: len(app.queue.nodes()) == 2, within=20)
        # Until its first look at others is behind it: that one is no measure of the next ones.
        up = time.monotonic()
        eventually(lambda: time.monotonic() - up > SETTLED, within=20)
        since, lost = time.time(), starved_on_the_way(rescuer)
        victim.kill()
    else:
        victim.kill()
        since, lost = time.time(), 0.0
        rescuer = start_worker()
    begun = eventually(
        lambda: len(moments := begun_after(tmp_path, since)) >= HELD and moments, within=60
    )
    lost = starved_on_the_way(rescuer) - lost
    took = max(begun) - since
    assert took - lost < WITHIN, f"{took:.2f} s, of which {lost:.2f} s without a CPU"
    (tmp_path / "go").touch()
    assert [job.result(timeout=10) for job in jobs] == list(range(HELD))
    for job in jobs:
        assert outcomes(job) == ["crashed", "completed"]
        assert job.history[-1].failure is None
