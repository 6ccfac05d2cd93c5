"""The command `mainspring worker`, as a process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

import mainspring

APP = """
    import time
    from pathlib import Path
    from mainspring import Queue

    queue = Queue(db_path="jobs.db", workers=2, durability="normal", grace=20)

    @queue.task
    def add(a, b):
        return a + b

    @queue.task(queue="mail")
    async def send(to):
        return f"sent to {to}"

    @queue.task
    def lock():
        with queue.lock("one"):
            return queue.locks()[0].node_name

    @queue.task
    def sleep(seconds):
        Path("began").touch()
        time.sleep(seconds)
        return "slept"
"""


def run_cli(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "mainspring", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_worker_process_runs_jobs_and_says_what_it_does(make_app, start_worker):
    app = make_app(APP)
    worker = start_worker()
    assert app.add.delay(2, 3).result(timeout=20) == 5
    assert app.send.delay("you").result(timeout=10) == "sent to you"
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    assert worker.output().splitlines() == [
        "[mainspring] Starting worker...",
        "[mainspring] Registered tasks: 4",
        "[mainspring] Queues: default, mail",
        f"[mainspring] Version: {mainspring.__version__}",
        "[mainspring] Store: sqlite:///jobs.db",
        "[mainspring] Concurrency: 100 coroutines, 2 threads",
        "[mainspring] Shutting down gracefully (waiting for in-flight jobs)...",
        "[mainspring] Worker stopped.",
    ]


def test_a_worker_that_stops_leaves_no_node_that_held_locks(make_app, start_worker):
    app = make_app(APP)
    worker = start_worker()
    holder = app.lock.delay().result(timeout=20)
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    assert holder not in [node.name for node in app.queue._store.nodes()]


def test_v_names_the_tasks_at_the_start(make_app, start_worker, eventually):
    make_app(APP)
    worker = start_worker("-v", "--concurrency", "3")
    eventually(lambda: "Concurrency: 100 coroutines, 3 threads" in worker.output(), within=20)
    assert "[mainspring]   app.send (async, mail)\n" in worker.output()


def test_the_first_interrupt_waits_for_what_runs(make_app, start_worker, eventually, tmp_path):
    app = make_app(APP)
    worker = start_worker()
    job = app.sleep.delay(1)
    # A claim that has not begun would be released: `running` alone does not tell.
    eventually((tmp_path / "began").exists, within=20)
    worker.send(signal.SIGINT)
    assert worker.wait() == 0
    assert job.status == "completed"


def test_the_second_interrupt_stops_at_once_and_releases(make_app, start_worker, eventually):
    app = make_app(APP)
    worker = start_worker()
    job = app.sleep.delay(15)
    eventually(lambda: job.status == "running", within=20)
    worker.send(signal.SIGINT)
    eventually(lambda: "Shutting down" in worker.output())
    began = time.monotonic()
    worker.send_again(signal.SIGINT)
    assert worker.wait() == 0
    assert time.monotonic() - began < 5
    assert job.status == "pending"


def test_a_worker_of_some_queues_leaves_the_others(make_app, start_worker):
    app = make_app(APP)
    left = app.add.delay(1, 2)
    start_worker("--queues", "mail,news")
    assert app.send.delay("you").result(timeout=20) == "sent to you"
    assert left.status == "pending"


@pytest.mark.parametrize(
    ("app", "says"),
    [
        ("nowhere:queue", "no module 'nowhere'"),
        ("app:missing", "has no 'missing'; its queues are queue"),
        ("app:add", "add is QueueTask"),
        ("app", "module:attribute"),
        ("broken:queue", "ZeroDivisionError"),
        ("wrong:queue", "'retrys'"),
    ],
)
def test_an_app_that_does_not_resolve_is_one_line_and_exit_code_2(make_app, tmp_path, app, says):
    make_app(APP)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "wrong.py").write_text(
        "from mainspring import Queue\nqueue = Queue()\n@queue.task(retrys=1)\ndef f(): ...\n"
    )
    result = run_cli(tmp_path, "worker", "--app", app)
    assert result.returncode == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("content", [b"this is no database at all, and long enough to see" * 40])
def test_a_file_that_is_no_database_is_one_line_and_exit_code_2(make_app, tmp_path, content):
    make_app(APP)
    (tmp_path / "jobs.db").write_bytes(content)
    result = run_cli(tmp_path, "worker", "--app", "app:queue")
    assert result.returncode == 2
    assert "jobs.db" in result.stderr
    assert "Traceback" not in result.stderr
    assert (tmp_path / "jobs.db").read_bytes() == content


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--concurrency", "-1"], "--concurrency=-1"),
        (["--concurrency", "-1", "--processes", "2"], "--concurrency=-1"),
        (["--grace", "-1"], "--grace=-1.0"),
        (["--grace", "nan", "--processes", "2"], "--grace=nan"),
        (["--queues", ""], "--queues=''"),
        (["--queues", " , ", "--processes", "2"], "--queues=' , '"),
    ],
)
def test_a_wrong_value_is_one_line_and_exit_code_2(make_app, tmp_path, words, says):
    make_app(APP)
    result = run_cli(tmp_path, "worker", "--app", "app:queue", *words)
    assert result.returncode == 2
    assert result.stderr.startswith("mainspring: error: worker: " + says)
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_command_that_does_not_exist_is_refused(tmp_path):
    result = run_cli(tmp_path, "wrok")
    assert result.returncode == 2
    assert "worker" in result.stderr
