"""A stop is one thing, however it is asked for: by a terminal, a service manager, a person."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import pytest

from histories import outcomes
from mainspring.supervision.stop_signals import TOGETHER

APP = """
    import os
    import subprocess
    import sys
    import time
    from pathlib import Path
    from mainspring import Queue

    queue = Queue(db_path="jobs.db", workers=2, durability="normal", grace=20)

    def work(name):
        Path(name).touch()
        while not Path("go_on").exists():
            time.sleep(0.01)
            print(".", end="", flush=True)
        return "done"

    @queue.task
    def in_thread():
        return work("thread")

    @queue.task
    async def in_loop():
        return work("loop")

    @queue.task(executor="process")
    def in_process():
        return work("process")

    @queue.task(executor="process")
    def beside():
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        Path("process").touch()
        child.terminate()
        return child.wait()
"""

FORMS = {"alone": (), "processes": ("--processes", "2"), "reload": ("--reload",)}
WAYS = {
    "ctrl-c": [("group", signal.SIGINT)],
    "ctrl-c passed on": [("group", signal.SIGINT), ("parent", signal.SIGTERM)],
    "sigterm": [("parent", signal.SIGTERM)],
    "sigterm to all": [("all", signal.SIGTERM)],
    "closed terminal": [("group", signal.SIGHUP), ("parent", signal.SIGHUP)],
    "ctrl-\\": [("group", signal.SIGQUIT)],
}
KINDS = ("thread", "loop", "process")


def descendants(pid):
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid:
            child = int(path.parent.name)
            yield child
            yield from descendants(child)


class Command:
    """A command that leads a process group of its own, as one started in a terminal does."""

    def __init__(self, folder, *arguments):
        self.log = folder / "command.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mainspring", *arguments],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def output(self):
        return self.log.read_text()

    def send(self, to, number):
        pid = self.process.pid
        if to == "group":
            os.killpg(pid, number)
            return
        for one in [pid, *(descendants(pid) if to == "all" else ())]:
            with suppress(ProcessLookupError):  # its parent was told first, and ends it
                os.kill(one, number)

    def end(self):
        for pid in [*descendants(self.process.pid), self.process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def start(tmp_path):
    commands = []

    def start(*arguments):
        commands.append(Command(tmp_path, *arguments))
        return commands[-1]

    yield start
    for command in commands:
        if command.process.poll() is None:
            command.end()


@pytest.fixture
def busy(make_app, start, tmp_path, eventually):
    """A worker that runs a job of each kind, and the jobs."""

    def busy(*options):
        app = make_app(APP)
        worker = start("worker", "--app", "app:queue", *options)
        jobs = [app.in_thread.delay(), app.in_loop.delay(), app.in_process.delay()]
        eventually(lambda: all((tmp_path / kind).exists() for kind in KINDS), within=30)
        return worker, jobs

    return busy


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    ("form", "way"),
    [
        *(("alone", way) for way in WAYS),
        *(("processes", way) for way in ("ctrl-c passed on", "sigterm", "sigterm to all")),
        *(("reload", way) for way in ("ctrl-c", "sigterm", "closed terminal")),
    ],
)
def test_running_jobs_get_the_grace(busy, tmp_path, eventually, form, way):
    worker, jobs = busy(*FORMS[form])
    for to, number in WAYS[way]:
        worker.send(to, number)
    eventually(lambda: "Shutting down" in worker.output())
    (tmp_path / "go_on").touch()
    assert worker.process.wait(30) == 0, worker.output()
    assert [job.status for job in jobs] == ["completed"] * 3, worker.output()
    assert [outcomes(job) for job in jobs] == [["completed"]] * 3
    assert "at once" not in worker.output()
    assert "Traceback" not in worker.output()


@pytest.mark.parametrize("form", FORMS)
def test_a_second_act_ends_what_runs_in_every_form(busy, eventually, form):
    worker, jobs = busy(*FORMS[form])
    worker.send("group", signal.SIGINT)
    eventually(lambda: "Shutting down" in worker.output())
    time.sleep(TOGETHER + 0.1)  # sooner it would be a part of the first
    began = time.monotonic()
    worker.send("group", signal.SIGINT)
    assert worker.process.wait(30) == 0, worker.output()
    assert time.monotonic() - began < 8
    assert {job.status for job in jobs} == {"pending"}
    assert "Stopping at once..." in worker.output()


def test_a_closed_terminal_is_never_the_second_act(busy, tmp_path, eventually):
    worker, jobs = busy()
    worker.send("group", signal.SIGINT)
    eventually(lambda: "Shutting down" in worker.output())
    time.sleep(TOGETHER + 0.1)
    worker.send("group", signal.SIGHUP)
    (tmp_path / "go_on").touch()
    assert worker.process.wait(30) == 0
    assert [job.status for job in jobs] == ["completed"] * 3


def test_what_a_process_job_starts_can_be_terminated(make_app, start):
    app = make_app(APP)
    start("worker", "--app", "app:queue")
    assert app.beside.delay().result(timeout=30) == -signal.SIGTERM


def test_other_signals_are_left_to_the_app(make_app, start, eventually):
    app = make_app(
        APP + "\n    import signal\n"
        "    signal.signal(signal.SIGUSR1, lambda *_: Path('usr1').touch())\n"
        "    signal.signal(signal.SIGHUP, lambda *_: Path('hup').touch())\n"
    )
    worker = start("worker", "--app", "app:queue")
    (Path.cwd() / "go_on").touch()
    assert app.in_thread.delay().result(timeout=30) == "done"
    worker.send("parent", signal.SIGUSR1)
    worker.send("parent", signal.SIGHUP)
    eventually(lambda: Path("usr1").exists() and Path("hup").exists())
    assert app.in_thread.delay().result(timeout=30) == "done"


SLOW_APP = """
    import sys, time
    sys.stderr.write("imports\\n")
    sys.stderr.flush()
    time.sleep(60)
"""


@pytest.mark.parametrize(
    "words",
    [
        ["worker", "--app", "app:queue"],
        ["worker", "--app", "app:queue", "--processes", "2"],
        ["supervise", "app:supervisor"],
        ["jobs", "ls", "--app", "app:queue"],
        ["enqueue", "--app", "app:queue", "task"],
    ],
)
def test_ctrl_c_while_the_app_is_imported_is_a_line_and_130(tmp_path, start, eventually, words):
    (tmp_path / "app.py").write_text(textwrap.dedent(SLOW_APP))
    command = start(*words)
    eventually(lambda: "imports" in command.output(), within=20)
    command.send("group", signal.SIGINT)
    assert command.process.wait(20) == 130
    lines = [line for line in command.output().splitlines() if "[mainspring]" not in line]
    assert lines == ["imports", "mainspring: interrupted"]


@pytest.mark.parametrize("catches", ["except BaseException: pass", "finally: 1 / 0"])
def test_an_interruption_that_the_app_catches_still_ends_it(tmp_path, start, eventually, catches):
    (tmp_path / "app.py").write_text(
        "import sys, time\n"
        "try:\n    print('imports', flush=True)\n    time.sleep(60)\n"
        f"{catches}\n"
        "print('goes on', flush=True)\ntime.sleep(60)\n"
    )
    command = start("worker", "--app", "app:queue")
    eventually(lambda: "imports" in command.output(), within=20)
    command.send("group", signal.SIGINT)
    if "pass" in catches:
        eventually(lambda: "goes on" in command.output())
        time.sleep(TOGETHER + 0.1)
        command.send("group", signal.SIGINT)
    assert command.process.wait(20) == 130
    assert "Traceback" not in command.output()


STEPS = 10
OURS = re.compile("mainspring/(__init__|__main__|cli|supervision)")


def test_ctrl_c_at_any_moment_of_the_start_is_quiet(tmp_path, start, eventually):
    (tmp_path / "app.py").write_text(
        "from mainspring import Queue\n"
        "queue = Queue(db_path='jobs.db', durability='normal')\n"
        "@queue.task\ndef add(a, b): return a + b\n"
    )
    since = time.monotonic()
    worker = start("worker", "--app", "app:queue")
    eventually(lambda: "[mainspring]" in worker.output(), within=60)
    until_its_first_line = time.monotonic() - since
    worker.end()

    stopped_early = 0
    for step in range(1, STEPS + 1):
        command = start("worker", "--app", "app:queue")
        time.sleep(1.5 * until_its_first_line * step / STEPS)
        command.send("group", signal.SIGINT)
        code, output = command.process.wait(20), command.output()
        stopped_early += code != 0
        if code == -signal.SIGINT or (code == 1 and not OURS.search(output)):
            continue  # while Python itself was started, or read the paths of its environment
        if code == 130:
            assert output.count("mainspring: interrupted") == 1, output
        else:
            assert code == 0, output
            assert "Worker stopped." in output
        assert "Traceback" not in output, output
        assert "ignored" not in output, output
    assert stopped_early, "the worker is up before the first signal"


def test_ctrl_c_while_the_worker_ends_is_quiet(make_app, start, eventually):
    app = make_app(APP + "\n    import atexit\n    atexit.register(time.sleep, 30)\n")
    worker = start("worker", "--app", "app:queue")
    (Path.cwd() / "go_on").touch()
    assert app.in_thread.delay().result(timeout=30) == "done"
    worker.send("group", signal.SIGINT)
    eventually(lambda: "Worker stopped." in worker.output(), within=20)
    time.sleep(TOGETHER + 0.1)
    worker.send("group", signal.SIGINT)
    assert worker.process.wait(10) == 0
    assert worker.output().splitlines()[-1] == "[mainspring] Worker stopped."


STUCK = """
    import ctypes
    from pathlib import Path
    from mainspring import Queue

    queue = Queue(db_path="jobs.db", workers=2, durability="normal", grace=0.5)

    @queue.task
    def stuck(keeps_others_out):
        library = ctypes.PyDLL(None) if keeps_others_out else ctypes.CDLL(None)
        while keeps_others_out and not Path("asked").exists():
            library.usleep(1000)
        Path("stuck").touch()
        library.sleep(60)
"""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("keeps_others_out", [False, True])
def test_no_stop_hangs_on_c_code(make_app, start, eventually, form, keeps_others_out):
    app = make_app(STUCK)
    worker = start("worker", "--app", "app:queue", "--grace", "0.5", *FORMS[form])
    job = app.stuck.delay(keeps_others_out)
    eventually(lambda: job.status == "running", within=20)
    if not keeps_others_out:
        eventually(lambda: Path("stuck").exists())
    began = time.monotonic()
    worker.send("group", signal.SIGTERM)
    eventually(lambda: "Shutting down" in worker.output())
    Path("asked").touch()
    worker.process.wait(30)
    assert time.monotonic() - began < 0.5 + 5 + 3


def in_terminal(folder, *arguments):
    """Start a command as the leader of a terminal of its own; return its pid and our end."""
    pid, ours = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execv(sys.executable, [sys.executable, "-m", "mainspring", *arguments])
    return pid, ours


def read_until(ours, text):
    """Read what is shown until the text appears."""
    shown, deadline = "", time.monotonic() + 30
    while text not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([ours], [], [], 1)[0]:
            shown += os.read(ours, 65536).decode()
    return shown


def exit_code(pid, eventually):
    return os.waitstatus_to_exitcode(
        eventually(lambda: (done := os.waitpid(pid, os.WNOHANG))[0] and done, within=40)[1]
    )


@pytest.mark.parametrize("form", ["alone", "processes"])
def test_ctrl_c_typed_in_a_terminal_gives_the_grace(make_app, tmp_path, eventually, form):
    app = make_app(APP)
    pid, ours = in_terminal(tmp_path, "worker", "--app", "app:queue", *FORMS[form])
    jobs = [app.in_thread.delay(), app.in_loop.delay(), app.in_process.delay()]
    eventually(lambda: all((tmp_path / kind).exists() for kind in KINDS), within=30)
    os.write(ours, b"\x03")
    read_until(ours, "Shutting down")
    (tmp_path / "go_on").touch()
    assert exit_code(pid, eventually) == 0
    os.close(ours)
    assert [job.status for job in jobs] == ["completed"] * 3


@pytest.mark.parametrize("form", ["alone", "reload"])
def test_a_terminal_that_is_closed_fails_no_job_that_prints(make_app, tmp_path, eventually, form):
    app = make_app(APP)
    pid, ours = in_terminal(tmp_path, "worker", "--app", "app:queue", *FORMS[form])
    jobs = [app.in_thread.delay(), app.in_loop.delay(), app.in_process.delay()]
    eventually(lambda: all((tmp_path / kind).exists() for kind in KINDS), within=30)
    os.close(ours)
    eventually(lambda: {node.report.get("draining") for node in app.queue.nodes()} >= {True})
    (tmp_path / "go_on").touch()
    assert exit_code(pid, eventually) == 0
    assert [job.status for job in jobs] == ["completed"] * 3
    assert [outcomes(job) for job in jobs] == [["completed"]] * 3
