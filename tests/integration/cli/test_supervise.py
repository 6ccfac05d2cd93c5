"""The command `mainspring supervise`, as a process."""

from __future__ import annotations

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from mainspring.supervision.stop_signals import TOGETHER

WORKERS = """
import sys
from mainspring import BackgroundIntervalWorker, Restart, background_worker, task_supervisor

def say(text):
    sys.stdout.write(text + "\\n")  # at one go: print would let others in between
    sys.stdout.flush()

@background_worker(interval=0.05)
def tick(**kwargs):
    say("tick")

@background_worker(queue=True)
async def mail(item):
    say(f"mailed {item}")

@background_worker(interval=60, restart=Restart(max_failures=0))
def broken():
    raise OSError("no sensor")

@background_worker(interval=60)
def _left_alone():
    say("nobody asked for this")

class Goodbye(BackgroundIntervalWorker):
    def run(self, **kwargs):
        pass

    def after_stop(self):
        say("goodbye")

goodbye = Goodbye("goodbye", interval=60)
mail.put_threadsafe("a letter")
number = 3
"""

TTY_LINES, TTY_COLUMNS = 30, 70


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "beats.py").write_text(WORKERS)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "leaves.py").write_text("raise SystemExit('use: leaves FILE')\n")
    (tmp_path / "nobody.py").write_text("from mainspring import task_supervisor\n")
    (tmp_path / "wrong.py").write_text(
        "from mainspring import background_worker, task_supervisor\n"
        "@background_worker(interval=1, loop='nowhere')\n"
        "async def lost(): ...\n"
    )
    return tmp_path


def command(*arguments):
    return [sys.executable, "-m", "mainspring", "supervise", *arguments]


def run_once(folder, address):
    return subprocess.run(
        command(address, "--once"),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def supervised(folder, *arguments, **options):
    with subprocess.Popen(command(*arguments), cwd=folder, **options) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def read_until(stream, *texts):
    """Read lines until each of the texts was in one."""
    lines, awaited = [], set(texts)
    while awaited:
        lines.append(stream.readline())
        assert lines[-1], "".join(lines)
        awaited -= {text for text in awaited if text in lines[-1]}
    return lines


def end_of(process):
    """Not `communicate`, which would pass over what `readline` has read ahead."""
    rest, errors = process.stdout.read(), process.stderr.read()
    process.wait(30)
    return rest, errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_modules_workers_run_until_a_signal_stops_them_in_order(folder, number):
    with supervised(
        folder, "beats:task_supervisor", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        before = read_until(process.stdout, "tick", "mailed a letter", "worker 'goodbye' active")
        process.send_signal(number)
        rest, errors = end_of(process)
    out = "".join(before) + rest
    assert process.returncode == 0, errors
    assert "goodbye\n" in out
    assert "[mainspring] worker 'tick' stopped: " in out
    assert "nobody asked" not in out
    assert "stops: a signal" in errors


def test_a_module_alone_means_its_workers_on_the_usual_supervisor(folder):
    (folder / "plain.py").write_text(
        "from mainspring import background_worker\n"
        "@background_worker(interval=60)\n"
        "def look(): ...\n"
    )
    done = run_once(folder, "plain")
    assert (done.returncode, done.stderr) == (0, "")
    assert "look" in done.stdout
    done = run_once(folder, "plain.py")
    assert done.returncode == 2
    assert done.stderr.rstrip().endswith("name the module, not its file: plain")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_does_not_wait_for_the_grace(folder, number):
    (folder / "slow.py").write_text(
        "import time\n"
        "from mainspring import background_worker, task_supervisor\n"
        "@background_worker\n"
        "def sleep():\n"
        "    print('asleep', flush=True)\n"
        "    time.sleep(20)\n"
    )
    with supervised(
        folder, "slow:task_supervisor", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        read_until(process.stdout, "asleep", "worker 'sleep' active")
        process.send_signal(number)
        read_until(process.stderr, "stops: a signal")
        since = time.monotonic()
        time.sleep(TOGETHER + 0.1)  # sooner it would be a part of the first
        process.send_signal(number)
        _, errors = end_of(process)
    assert process.returncode == 0, errors
    assert time.monotonic() - since < 15
    assert "stopping at once" in errors


def test_under_nohup_it_outlives_its_terminal(folder):
    with supervised(
        folder,
        "beats:task_supervisor",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    ) as process:
        read_until(process.stdout, "worker 'goodbye' active")
        process.send_signal(signal.SIGHUP)
        read_until(process.stdout, "tick")
        process.terminate()
        _, errors = end_of(process)
    assert "stops: a signal" in errors


def test_a_module_without_workers_is_told_why_nothing_runs(folder):
    done = run_once(folder, "nobody:task_supervisor")
    assert done.returncode == 0
    assert "nobody has no worker of task_supervisor: give each supervisor=" in done.stderr


def test_without_a_terminal_each_change_is_a_line(folder):
    with supervised(
        folder, "beats:task_supervisor", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        out = "".join(read_until(process.stdout, "worker 'broken' failed: 1 runs, 1 errors"))
        process.terminate()
        rest, errors = end_of(process)
    assert out.splitlines()[-1].endswith("OSError('no sensor')")
    assert (out + rest).count("worker 'tick' active") == 1
    assert "\x1b" not in out + rest
    assert "Traceback" in errors
    assert "worker 'broken' failed: OSError('no sensor')" in errors


def test_once_prints_the_table_once_and_ends(folder):
    done = run_once(folder, "beats:task_supervisor")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("WORKER ") == 1
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["mail", "queue"] in [row[:2] for row in rows]
    assert ["tick", "interval"] in [row[:2] for row in rows]


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("nowhere:task_supervisor", "no module 'nowhere'"),
        ("beats:missing", "has no 'missing'; its supervisors are task_supervisor"),
        ("beats:number", "number is int, and has no TaskSupervisor"),
        ("beats:tick", "and has no TaskSupervisor"),
        ("beats:", "module:attribute"),
        ("broken:task_supervisor", "ZeroDivisionError"),
        ("leaves:task_supervisor", "SystemExit: use: leaves FILE"),
        ("./beats.py:task_supervisor", "name the module, not its file: beats:task_supervisor"),
        ("/srv/beats.py:missing", "name the module, not its file: beats:missing"),
        ("app/beats.py:missing", "name the module, not its file: app.beats:missing"),
        ("wrong:task_supervisor", "loop='nowhere'"),
    ],
)
def test_what_can_not_be_supervised_is_one_line_and_exit_code_2(folder, address, says):
    done = subprocess.run(
        command(address), cwd=folder, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_service_manager_is_told_when_it_is_up_alive_and_stopping(folder):
    with (
        tempfile.TemporaryDirectory() as short,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        manager.bind(str(Path(short) / "notify"))
        manager.settimeout(30)
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(Path(short) / "notify"),
            "WATCHDOG_USEC": "100000",
        }
        with supervised(
            folder,
            "beats:task_supervisor",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        ) as process:
            told = [manager.recv(100) for _ in range(3)]
            process.terminate()
            while told[-1] != b"STOPPING=1":
                told.append(manager.recv(100))
            assert process.wait(30) == 0
    assert told[0] == b"READY=1"
    assert set(told[1:-1]) == {b"WATCHDOG=1"}


class Terminal:
    """A terminal of its own for a process, and all that it was shown."""

    def __init__(self):
        self.ours, self.theirs = pty.openpty()
        termios.tcsetwinsize(self.theirs, (TTY_LINES, TTY_COLUMNS))
        self.text = ""

    def read_until(self, condition):
        deadline = time.monotonic() + 30
        while not condition(self.text):
            assert time.monotonic() < deadline, self.text
            if not self._read():
                assert condition(self.text), self.text

    def read_to_the_end(self):
        while self._read():
            pass
        return self.text

    def _read(self):
        if not select.select([self.ours], [], [], 10)[0]:
            return False
        try:
            new = os.read(self.ours, 65536).decode()
        except OSError:  # Linux says so at the end
            return False
        self.text += new
        return bool(new)

    def close(self):
        os.close(self.ours)


@pytest.fixture
def terminal():
    made = Terminal()
    yield made
    made.close()


def test_on_a_terminal_a_table_is_redrawn_below_what_is_printed(folder, terminal):
    with supervised(
        folder,
        "beats:task_supervisor",
        stdin=subprocess.DEVNULL,
        stdout=terminal.theirs,
        stderr=terminal.theirs,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        os.close(terminal.theirs)
        terminal.read_until(lambda text: text.count("WORKER") > 3 and text.count("tick\r\n") > 3)
        process.terminate()
        text = terminal.read_to_the_end()
        assert process.wait(30) == 0
    head = "WORKER   KIND"
    assert "\x1b[5F\x1b[J" in text  # a head and four workers are written over
    assert "\x1b[5F\x1b[Jtick\r\n" in text
    assert "Traceback" in text
    last = text[text.rindex(head) :].splitlines()
    assert all(name in row for name, row in zip(("tick", "mail"), last[1:], strict=False))
    assert "stopped" in last[1]
    assert text.endswith("\r\n\x1b[?7h")
