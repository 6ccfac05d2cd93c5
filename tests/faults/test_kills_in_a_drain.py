"""20 SIGKILLs in a drain of 2,000, on each store, of workers on one host and on hosts of their own.

With `-s` it prints after how long the jobs of killed workers ran again.
"""

from __future__ import annotations

import itertools
import statistics
import time

import pytest

from histories import outcomes

KILLS = 20
COUNT = 2_000
LOOK = 1.0
"""Seconds between two looks at others. One that has just joined has its whole lease before it."""
SLACK = 3.0
"""Seconds that a busy machine may take longer, in the worst of many cases."""

APP = """
    import os
    import time
    from pathlib import Path

    from mainspring import Queue
    from mainspring.engine.node import host
    from mainspring.stores import run_folder

    if "HOST" in os.environ:
        # Another host: another kernel, of whose locks this one sees nothing.
        run_folder.ROOT = Path(os.environ["HOST"])
        host.BOOT_ID = run_folder.ROOT / "boot_id"

    queue = Queue({url!r}, workers=8, durability="normal")
    diary = os.open("diary.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    @queue.task
    def note(number):
        os.write(diary, f"begin {{number}} {{os.getpid()}} {{time.time()}}\\n".encode())
        time.sleep(0.3)
        os.write(diary, f"end {{number}} {{os.getpid()}} {{time.time()}}\\n".encode())
        return number
"""


def begins(folder, pid=None):
    """Return (number, pid, moment) of each body that has begun."""
    path = folder / "diary.txt"
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    rows = [(int(line[1]), int(line[2]), float(line[3])) for line in lines if line[0] == "begin"]
    return [row for row in rows if pid in (None, row[1])]


def gaps_after_kills(history, killed):
    """Return the seconds from each kill of a job's worker until another has claimed the job.

    The other may be killed, too, before it begins the body: that is a gap of its own.
    """
    gaps = []
    for lost, following in itertools.pairwise(history):
        kill = killed.get(int(lost.node.split("-")[-2]))
        if kill is not None and kill < lost.ended_at.timestamp():  # else it gave the claim back
            gaps.append(following.started_at.timestamp() - kill)
    return gaps


@pytest.fixture
def start(start_worker, tmp_path):
    """Start a worker: on this host, or on one of its own."""
    numbers = itertools.count(1)

    def started(*, apart):
        if not apart:
            return start_worker()
        home = tmp_path / f"host{next(numbers)}"
        home.mkdir()
        (home / "boot_id").write_text(home.name)
        return start_worker(env={"HOST": str(home)})

    return started


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("apart", "within"), [(False, 2.0), (True, 15.0)], ids=["here", "apart"])
@pytest.mark.parametrize("url", ["sqlite", "redis", "postgres"], indirect=True)
def test_jobs_of_killed_workers_run_again_in_time_and_none_is_lost(
    make_app, start, tmp_path, eventually, url, apart, within
):
    app = make_app(APP.format(url=url))
    jobs = app.note.map([(number,) for number in range(COUNT)])
    workers = [start(apart=apart), start(apart=apart)]
    killed = {}
    for _ in range(KILLS):
        victim = workers.pop(0)
        pid = victim.process.pid
        pids = [pid, *(one.process.pid for one in workers)]
        eventually(lambda pids=pids: all(begins(tmp_path, one) for one in pids), within=60)
        if app.queue.stats()["pending"] == 0:
            break
        victim.kill()
        killed[pid] = time.time()
        workers.append(start(apart=apart))
    eventually(lambda: app.queue.stats()["completed"] == COUNT, within=180)
    stats = app.queue.stats()
    assert (stats["pending"], stats["running"], stats["failed"]) == (0, 0, 0)
    assert [job.result(timeout=1) for job in jobs] == list(range(COUNT))

    ends = [tuple(outcomes(job)) for job in jobs]
    # After a second crash it waits on purpose: for 5 s, and for a worker that runs nothing else.
    once = [job for job, end in zip(jobs, ends, strict=True) if end == ("crashed", "completed")]
    gaps = [gap for job in once for gap in gaps_after_kills(job.history, killed)]
    assert all(set(before) <= {"crashed", "released"} for *before, _ in ends)
    assert gaps, "no kill has hit a body"
    print(  # noqa: T201  # its figures
        f"{len(killed)} kills: {len(gaps)} times a job was claimed again, after"
        f" {statistics.median(gaps):.2f} s (median), {max(gaps):.2f} s at most"
    )
    assert statistics.median(gaps) < within + LOOK
    assert max(gaps) < within + SLACK
