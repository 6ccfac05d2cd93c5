"""The command as the first process of a container."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

APP = """
    import os
    import subprocess
    import sys
    from pathlib import Path
    from mainspring import Queue

    queue = Queue(db_path="jobs.db", workers=2, durability="normal", grace=20)

    @queue.task
    def leave_an_orphan():
        # The shell ends at once, and what it has started a moment later.
        subprocess.run(["sh", "-c", "sleep 0.2 &"], check=True)
        return subprocess.run(["sh", "-c", "exit 7"]).returncode

    @queue.task
    def zombies():
        states = [path.read_text().rpartition(")")[2].split()[0]
                  for path in Path("/proc").glob("[0-9]*/stat")]
        return states.count("Z"), os.getpid()
"""

UNSHARE = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]


def can_unshare():
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0


@pytest.fixture
def container(tmp_path):
    if not can_unshare():
        pytest.skip("needs a process namespace of its own")
    with (tmp_path / "log").open("wb") as log:
        words = ["-m", "mainspring", "worker", "--app", "app:queue"]
        process = subprocess.Popen(
            [*UNSHARE, sys.executable, *words], cwd=tmp_path, stdout=log, stderr=log
        )
    yield process
    process.kill()
    process.wait()


def first_child_of(pid):
    """Return the first process of the namespace, as it is numbered here."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def test_orphans_are_reaped_and_exit_codes_are_not_taken_from_others(
    make_app, container, eventually
):
    app = make_app(APP)
    codes = [job.result(timeout=30) for job in app.leave_an_orphan.map([()] * 5)]
    assert codes == [7] * 5
    eventually(lambda: app.zombies.delay().result(timeout=10)[0] == 0)
    assert app.zombies.delay().result(timeout=10)[1] != 1
    assert container.poll() is None


def test_a_stop_reaches_the_worker_and_its_exit_code_the_container(make_app, container, tmp_path):
    app = make_app(APP)
    app.zombies.delay().result(timeout=30)
    os.kill(first_child_of(container.pid), signal.SIGTERM)
    assert container.wait(30) == 0
    assert "Worker stopped." in (tmp_path / "log").read_text()


ENDS = """
import os, signal, sys
from mainspring.cli.init import run_below_init

code = run_below_init()
if code is None:
    os._exit(3)
signal.raise_signal(signal.SIGTERM)
sys.exit(code)
"""


def test_a_signal_that_comes_when_the_command_has_just_ended_changes_no_exit_code():
    done = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (3, b"")
