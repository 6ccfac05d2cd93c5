"""Workers that are suspended, blocked or asked to stop while their jobs go on and on.

Each test stands here twice: with a lease of a second, and (long) with the seconds of the defaults.
"""

from __future__ import annotations

import signal
import time

import pytest

from histories import outcomes

APP = """
    import asyncio
    import os
    import time
    from pathlib import Path

    from mainspring import Queue

    queue = Queue(db_path="jobs.db", workers=4, durability="normal", {options})
    HERE = Path(__file__).parent
    go = HERE / "go"

    def write(line):
        diary = os.open(HERE / "diary.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(diary, f"{{line}}\\n".encode())
        os.close(diary)

    def hold(kind, worker):
        write(f"begin {{kind}} {{worker}}")
        while not go.exists():
            time.sleep(0.005)
        write(f"end {{kind}} {{worker}}")
        return worker

    @queue.task
    def thread_hold():
        return hold("thread", os.getpid())

    @queue.task(executor="process")
    def process_hold():
        return hold("process", os.getppid())

    @queue.task
    async def async_hold():
        write(f"begin async {{os.getpid()}}")
        while not go.exists():
            await asyncio.sleep(0.005)
        write(f"end async {{os.getpid()}}")
        return os.getpid()

    @queue.task
    async def block(seconds):
        write(f"begin block {{os.getpid()}}")
        time.sleep(seconds)
        return os.getpid()
"""

KINDS = ("thread", "process", "async")
SHORT = "grace=5, lease=1, heartbeat=0.3"


def diary(folder, what, worker):
    """Return the kinds of the jobs that began, or ended, in a worker."""
    path = folder / "diary.txt"
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return sorted(kind for verb, kind, pid in lines if (verb, int(pid)) == (what, worker))


@pytest.fixture
def hold_in(eventually, tmp_path):
    """Enqueue a job of each kind, and wait until all of them run in the worker."""

    def hold(app, worker):
        jobs = [getattr(app, f"{kind}_hold").delay() for kind in KINDS]
        begun_in(worker)
        return jobs

    def begun_in(worker):
        pid = worker.process.pid
        eventually(lambda: diary(tmp_path, "begin", pid) == sorted(KINDS), within=40)

    hold.begun_in = begun_in
    return hold


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        pytest.param(SHORT, 3, id="short"),
        pytest.param("grace=5", 60, marks=[pytest.mark.long, pytest.mark.timeout(240)], id="long"),
    ],
)
def test_results_of_a_worker_that_was_suspended_are_refused(
    make_app, start_worker, stop, hold_in, tmp_path, eventually, options, seconds
):
    app = make_app(APP.format(options=options))
    zombie = start_worker()
    jobs = hold_in(app, zombie)
    stop(zombie)
    stopped = time.monotonic()
    other = start_worker()
    hold_in.begun_in(other)
    (tmp_path / "go").touch()
    assert [job.result(timeout=20) for job in jobs] == [other.process.pid] * 3
    eventually(lambda: time.monotonic() >= stopped + seconds, within=seconds)
    zombie.send(signal.SIGCONT)
    late = {"thread", "process"}  # a coroutine that is disowned need not come to its end
    eventually(lambda: late <= set(diary(tmp_path, "end", zombie.process.pid)), within=20)
    eventually(lambda: len(app.queue.nodes()) == 2, within=20)
    other.send(signal.SIGTERM)
    assert other.wait() == 0
    assert app.thread_hold.delay().result(timeout=20) == zombie.process.pid
    assert "did not renew its lease in time" in zombie.output()
    assert [job.result(timeout=1) for job in jobs] == [other.process.pid] * 3
    for job in jobs:
        assert outcomes(job) == ["crashed", "completed"]
    zombie.send(signal.SIGTERM)
    assert zombie.wait() == 0


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        pytest.param(SHORT, 4, id="short"),
        pytest.param("grace=5", 30, marks=[pytest.mark.long, pytest.mark.timeout(180)], id="long"),
    ],
)
def test_a_worker_whose_event_loop_is_blocked_keeps_its_lease(
    make_app, start_worker, tmp_path, eventually, options, seconds
):
    app = make_app(APP.format(options=options))
    blocked = start_worker()
    job = app.block.delay(seconds)
    eventually(lambda: diary(tmp_path, "begin", blocked.process.pid), within=20)
    start_worker()  # one that would rescue it
    eventually(lambda: len(app.queue.nodes()) == 2, within=20)
    left = []

    def ended():
        left.extend(
            node.expires_in for node in app.queue._store.nodes() if node.pid == blocked.process.pid
        )
        return job.status == "completed"

    eventually(ended, within=seconds + 20)
    assert len(left) > 20
    assert min(left) > 0
    assert job.result(timeout=1) == blocked.process.pid
    assert outcomes(job) == ["completed"]


@pytest.mark.parametrize(
    "grace",
    [0.5, pytest.param(30, marks=[pytest.mark.long, pytest.mark.timeout(180)])],
)
def test_jobs_that_outlast_the_grace_are_released_and_run_elsewhere(
    make_app, start_worker, hold_in, tmp_path, eventually, grace
):
    app = make_app(APP.format(options=f"grace={grace}"))
    leaver = start_worker()
    jobs = hold_in(app, leaver)
    other = start_worker()
    eventually(lambda: len(app.queue.nodes()) == 2, within=20)
    leaver.send(signal.SIGTERM)
    began = time.monotonic()
    assert leaver.wait(grace + 20) == 0, leaver.output()
    assert grace <= time.monotonic() - began < grace + 5
    hold_in.begun_in(other)
    (tmp_path / "go").touch()
    assert [job.result(timeout=20) for job in jobs] == [other.process.pid] * 3
    for job in jobs:
        assert [entry.outcome for entry in job.history] == ["released", "completed"]
        record = app.queue._store.get(job.id)
        assert (record.attempts, record.crashes) == (1, 0)
