"""kill -9, again and again: nothing is lost, nothing fails, everything is recorded once."""

from __future__ import annotations

import os
import random
import time
from collections import Counter

import pytest

JOBS = 2_000
KILLS = 20

APP = """
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
    return [float(line[2]) for line in diary(folder) if line[0] == "begin" and float(line[2]) > moment]


def children(pid):
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.add(int(entry))
    return found


def alive(pids):
    return {pid for pid in pids if os.path.exists(f"/proc/{pid}")}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("task", ["thread_job", "process_job", "quick_job"])
def test_no_job_is_lost_or_fails_in_20_kills(make_app, start_worker, tmp_path, eventually, task):
    app = make_app(APP)
    jobs = getattr(app, task).map([(number,) for number in range(JOBS)])
    chance = random.Random(20)
    for kill in range(KILLS):
        worker = start_worker()
        started = time.time()
        eventually(lambda: begun_after(tmp_path, started), within=15)
        time.sleep(chance.random() * 0.3)
        offspring = children(worker.process.pid)
        worker.kill()
        eventually(lambda: not alive(offspring), within=1.0)
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


@pytest.mark.parametrize("task", ["thread_job", "process_job"])
def test_a_job_of_a_killed_worker_runs_again_within_two_seconds(
    make_app, start_worker, tmp_path, eventually, task
):
    app = make_app(APP)
    survivor = start_worker()
    victim = start_worker()
    app.thread_job.delay(-1).result(timeout=20)
    jobs = getattr(app, task).map([(number,) for number in range(400)])
    eventually(lambda: app.queue.stats()["completed"] > 50, within=20)
    killed = time.time()
    victim.kill()
    eventually(lambda: app.queue.stats()["completed"] == 401, within=60)
    redelivered = [
        entry.started_at.timestamp() - killed
        for job in jobs
        if len(entries := job.history) > 1
        for entry in entries[1:]
    ]
    assert redelivered, "the kill met no running job"
    assert max(redelivered) < 2 + 400 * 0.02
    assert min(redelivered) < 2
    assert survivor.process.poll() is None
