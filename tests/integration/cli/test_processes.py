"""Workers in processes below the command: `--processes`, `--reload`, and their log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

APP = """
    import os
    import time
    from mainspring import Queue

    queue = Queue(db_path="jobs.db", workers=1, durability="normal", grace=20)

    @queue.task
    def pid():
        time.sleep(0.05)
        return os.getpid()
"""


@pytest.fixture
def pids(eventually):
    """The numbers of the processes that run jobs, once there are so many."""

    def find(app, count):
        seen = set()

        def look():
            seen.update(job.result(timeout=20) for job in app.pid.map([()] * 4))
            return len(seen) >= count

        eventually(look, within=30)
        return seen

    return find


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_several_processes_work_and_stop_together(make_app, start_worker, pids):
    app = make_app(APP)
    group = start_worker("--processes", "2")
    workers = pids(app, 2)
    assert group.process.pid not in workers
    group.send(signal.SIGTERM)
    assert group.wait() == 0
    assert not any(is_alive(pid) for pid in workers)
    assert group.output().count("[mainspring] Worker stopped.") == 2


def test_a_process_that_dies_is_started_again(make_app, start_worker, pids):
    app = make_app(APP)
    start_worker("--processes", "2")
    killed, other = pids(app, 2)
    os.kill(killed, signal.SIGKILL)
    assert pids(app, 2) - {killed} > {other}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_no_process_outlives_the_command(make_app, start_worker, pids, eventually):
    app = make_app(APP)
    group = start_worker("--processes", "2")
    workers = pids(app, 2)
    group.kill()
    eventually(lambda: not any(is_alive(pid) for pid in workers), within=20)


def test_a_changed_file_starts_the_worker_anew(make_app, start_worker, tmp_path, pids, eventually):
    app = make_app(APP)
    worker = start_worker("--reload")
    (before,) = pids(app, 1)
    (tmp_path / "app.py").write_text(textwrap.dedent(APP) + "\n# changed\n")
    eventually(lambda: app.pid.delay().result(timeout=20) != before, within=30)
    assert "app.py changed" in worker.output()
    worker.send(signal.SIGINT)
    assert worker.wait() == 0


def test_a_broken_file_is_waited_for(make_app, start_worker, tmp_path, pids, eventually):
    app = make_app(APP)
    worker = start_worker("--reload")
    pids(app, 1)
    (tmp_path / "app.py").write_text("this is no Python")
    eventually(lambda: "SyntaxError" in worker.output(), within=30)
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))
    job = app.pid.delay()
    assert job.result(timeout=30) > 0


def test_the_log_can_be_json(make_app, start_worker, eventually):
    app = make_app(APP + "\n    @queue.task(retries=0)\n    def fail():\n        return 1 / 0\n")
    worker = start_worker("--log-format", "json")
    job = app.fail.delay()
    eventually(lambda: job.status == "failed", within=20)
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    lines = [json.loads(line) for line in worker.output().splitlines()]
    messages = [line["message"] for line in lines]
    assert messages[0] == "Starting worker..."
    (failure,) = (line for line in lines if "division" in line["message"])
    assert (failure["level"], failure["job"], failure["task"]) == ("error", job.id, "app.fail")
    assert "return 1 / 0" in failure["error"]


def test_concurrency_and_grace_stand_in_for_the_queues_own(make_app, start_worker, eventually):
    app = make_app(
        """
        import time
        from mainspring import Queue

        queue = Queue(db_path="jobs.db", workers=1, durability="normal", grace=60)

        @queue.task
        def sleep():
            time.sleep(60)
        """
    )
    worker = start_worker("--concurrency", "3", "--grace", "0.2")
    app.sleep.map([()] * 4)
    eventually(lambda: app.queue.stats()["running"] == 3, within=20)
    worker.send(signal.SIGTERM)
    assert worker.wait(timeout=20) == 0
    assert app.queue.stats()["pending"] == 4


@pytest.mark.parametrize("processes", ["1", "2"])
def test_async_slots_are_the_coroutines_that_each_process_runs_at_once(
    make_app, start_worker, eventually, processes
):
    app = make_app(
        """
        import asyncio
        from mainspring import Queue

        queue = Queue(db_path="jobs.db", durability="normal", grace=0.2)

        @queue.task
        async def sleep():
            await asyncio.sleep(60)
        """
    )
    most = 2 * int(processes)
    worker = start_worker("--async-slots", "2", "--processes", processes)
    app.sleep.map([()] * 8)
    eventually(lambda: async_slots(app.queue) == {"size": most, "busy": most}, within=20)
    worker.send(signal.SIGTERM)
    assert worker.wait(timeout=20) == 0


@pytest.mark.parametrize(
    "words",
    [("--processes", "0"), ("--concurrency", "-1"), ("--grace", "-1"), ("--async-slots", "0")],
)
def test_a_senseless_number_is_exit_code_2(write_app, command, words):
    write_app(APP)
    answer = command("worker", "--app", "app:queue", *words)
    assert answer.code == 2
    assert "is not valid; expected" in answer.err


@pytest.mark.parametrize("processes", ["1", "2"])
def test_the_longest_grace_that_is_accepted_is_no_trouble_at_the_stop(
    make_app, start_worker, pids, processes
):
    app = make_app(APP)
    worker = start_worker("--processes", processes, "--grace", "1e10")
    pids(app, int(processes))
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    assert "Shutting down gracefully" in worker.output()
    assert "Error" not in worker.output()


def test_flags_of_the_interpreter_are_those_of_its_worker_processes(
    write_app, tmp_path, eventually
):
    write_app(
        """
        import os, sys
        from pathlib import Path

        Path(f"flags-{os.getpid()}").write_text(str(sys.flags.optimize))
        from mainspring import Queue
        queue = Queue(db_path="jobs.db", durability="normal")
        """
    )
    command = [sys.executable, "-O", "-m", "mainspring", "worker"]
    with subprocess.Popen(
        [*command, "--app", "app:queue", "--processes", "2"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as group:
        try:
            eventually(lambda: len(list(tmp_path.glob("flags-*"))) == 3, within=20)
        finally:
            group.send_signal(signal.SIGTERM)
    assert {path.read_text() for path in tmp_path.glob("flags-*")} == {"1"}


@pytest.mark.parametrize("words", [(), ("--grace", "1")])
def test_an_app_that_is_not_there_is_named_once(command, words):
    answer = command("worker", "--app", "nowhere:queue", "--processes", "2", *words)
    assert answer.code == 2
    assert answer.err.count("there is no module 'nowhere'") == 1


def async_slots(queue):
    slots = queue.stats()["slots"].get("async", {})
    return {name: slots.get(name) for name in ("size", "busy")}
