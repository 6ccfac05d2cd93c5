"""What commands print: on any stream, and whatever a job says."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

APP = """
    from mainspring import Queue, current_job

    queue = Queue(db_path="jobs.db", workers=2, durability="normal")

    @queue.task(queue="pošta", retries=0)
    def say(text):
        current_job.log(text)
        raise ValueError(text)
"""

EVIL = "x\x1b[2J\n[mainspring] WARNING forged\r\x9b31m\u202egnp"
MAINSPRING = f"{sys.executable} -m mainspring"


@pytest.fixture
def app(make_app):
    return make_app(APP)


@pytest.fixture
def shell(tmp_path):
    """Run a line of the shell in this test's folder."""

    def run(line, **env):
        return subprocess.run(
            ["/bin/sh", "-c", line.replace("mainspring", MAINSPRING, 1)],
            cwd=tmp_path,
            capture_output=True,
            timeout=60,
            check=False,
            env={**os.environ, **env},
        )

    return run


@pytest.mark.parametrize(
    "env",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=["an ASCII stream", "LANG=C"],
)
def test_lists_are_printed_on_streams_of_any_encoding(app, shell, env):
    app.say.delay("ž")
    done = shell("mainspring queues ls --db jobs.db", **env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"po" in done.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
@pytest.mark.parametrize("command", ["jobs ls", "jobs ls --json", "stats", "doctor"])
def test_a_full_disk_under_the_output_is_one_line(app, shell, command):
    app.say.delay("text")
    done = shell(f"mainspring {command} --db jobs.db > /dev/full")
    said = b"mainspring: error: the output can't be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, said)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_error(app, shell, closed):
    app.say.delay("x")
    for command in ("queues ls", "jobs ls --json"):
        done = shell(f"mainspring {command} --db jobs.db {closed}")
        assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("command", ["jobs cancel --status pending", "top"])
def test_a_question_or_a_screen_without_standard_input_says_what_to_do(app, shell, command):
    app.say.delay("x")
    done = shell(f"mainspring {command} --db jobs.db <&-")
    assert done.returncode == 2
    assert done.stderr.startswith(b"mainspring: error: ")


def test_a_pipe_that_closes_ends_the_command_quietly(app, shell):
    app.say.map([(str(number),) for number in range(900)])
    done = shell("mainspring jobs ls --limit 900 --db jobs.db | head -1")
    assert done.stderr == b""
    assert done.stdout.startswith(b"ID")


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_lists_fit_the_terminal(app, shell, columns):
    job = app.say.delay("x")
    app.say.using(queue="a-queue-with-a-long-name-" * 3).delay("y")
    for command in ("jobs ls", "queues ls", "nodes", "cron ls"):
        done = shell(f"mainspring {command} --db jobs.db", COLUMNS=str(columns))
        assert max(map(len, done.stdout.decode().splitlines())) <= columns
    assert job.id in shell("mainspring jobs ls --db jobs.db", COLUMNS="60").stdout.decode()


def shown(done):
    """Return what was printed, if a terminal can be given it."""
    text = done.stdout.decode() + done.stderr.decode()
    assert {letter for letter in text if not letter.isprintable()} <= {"\n"}
    assert not any(line.startswith("[mainspring] WARNING forged") for line in text.splitlines())
    return text


def test_nothing_that_a_job_says_acts_on_the_terminal_or_forges_a_line(app, shell):
    job = app.say.using(queue=f"q{EVIL}").delay(EVIL)
    with app.queue.worker(), pytest.raises(Exception, match="forged"):
        job.result(timeout=20)
    for command in (f"jobs show {job.id}", f"jobs show {job.id} --json"):
        assert "forged" in shown(shell(f"mainspring {command} --db jobs.db"))
    for command in ("jobs ls", "queues ls"):  # shortened to the width of the terminal
        assert r"qx\x1b[2J" in shown(shell(f"mainspring {command} --db jobs.db"))


def test_nothing_that_a_job_says_forges_a_line_of_the_log(app, start_worker, tmp_path, eventually):
    job = app.say.delay(EVIL)
    worker = start_worker()
    eventually(lambda: job.status == "failed", within=30)
    eventually(lambda: "forged" in worker.output(), within=30)
    lines = [line for line in worker.output().splitlines() if "forged" in line]
    assert all(line.isprintable() for line in lines)
    # The failure is one record; what else names it is a line of its traceback, which is indented.
    records = [line for line in lines if not line.startswith("  ")]
    assert [f"ERROR mainspring: job {job.id}" in line for line in records] == [True]


@pytest.mark.parametrize(
    "arguments",
    [
        "jobs show 1-\x1b[31m",
        "queues pause \x1b[31m",
        "jobs cancel \x1b[31m",
        "cron run \x1b[31m",
        "jobs ls --status \x1b[31m",
        "jobs ls --\x1b[31m",
        "jobs ls --cursor \x1b[31m",
    ],
)
def test_arguments_of_the_command_line_are_shown_and_do_nothing(app, shell, arguments):
    app.queue.stats()
    assert r"\x1b[31m" in shown(shell(f"mainspring {arguments} --db jobs.db"))
