"""A worker that one process at a time runs, while its holders are killed, stopped and suspended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress
from itertools import pairwise

import pytest

PROGRAM = """
    import asyncio
    import os
    import sys
    import time

    from mainspring import Queue, background_worker, task_supervisor

    url, lease = sys.argv[1], float(sys.argv[2])
    queue = Queue(url, durability="normal", lease=lease, heartbeat=lease / 5)

    def write(word, fence):
        diary = os.open("diary.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(diary, f"{word} {os.getpid()} {fence}\\n".encode())
        os.close(diary)

    @background_worker(interval=0.02, singleton=queue)
    def poll(_worker):
        write("begin", _worker.fence)
        time.sleep(0.02)
        write("end", _worker.fence)

    @background_worker(singleton=queue)
    async def hold(_worker):
        fence = _worker.fence
        write("begin", fence)
        try:
            await asyncio.sleep(3600)
        finally:
            write("end", fence)

    {"poll": poll, "hold": hold}[sys.argv[3]].start()
    task_supervisor.block()
    queue.close()
"""

LONG = 60.0
"""A lease that no test waits for."""


class Line:
    """A line of the diary."""

    def __init__(self, text):
        self.word, pid, fence = text.split()
        self.pid, self.fence = int(pid), int(fence)


class Fleet:
    """Processes that run the program, by process id."""

    def __init__(self, folder):
        self._folder = folder
        self.processes = {}
        (folder / "program.py").write_text(textwrap.dedent(PROGRAM))

    def start(self, url, *, lease=LONG, worker="poll"):
        command = [sys.executable, "program.py", url, str(lease), worker]
        process = subprocess.Popen(command, cwd=self._folder)
        self.processes[process.pid] = process
        return process.pid

    def lines(self):
        with suppress(FileNotFoundError):
            text = (self._folder / "diary.txt").read_text()
            return [Line(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return []

    def holder(self, *, but=()):
        """Return the process that wrote last, if it is another than these."""
        lines = self.lines()
        return lines[-1].pid if lines and lines[-1].pid not in but else None

    def end(self, pid, number):
        os.kill(pid, number)
        return self.processes.pop(pid).wait(30)


@pytest.fixture
def fleet(tmp_path):
    fleet = Fleet(tmp_path)
    yield fleet
    for process in fleet.processes.values():
        process.kill()
        process.wait()


@pytest.fixture
def file_url(tmp_path):
    return f"sqlite:///{tmp_path / 'jobs.db'}"


def assert_one_at_a_time(lines):
    """Each fence is of one process, and of its runs one ends before the next begins."""
    owners = {}
    for line in lines:
        assert owners.setdefault(line.fence, line.pid) == line.pid
    for line, following in pairwise(lines):
        assert following.fence >= line.fence
        # Who was killed in a run has not written its end.
        assert following.word != line.word or following.fence > line.fence


def test_of_three_processes_one_runs_and_another_takes_over_from_who_is_killed_or_stops(
    fleet, file_url, eventually
):
    for _ in range(3):
        fleet.start(file_url)
    first = eventually(fleet.holder, within=30)
    assert fleet.end(first, signal.SIGKILL) == -signal.SIGKILL
    second = eventually(lambda: fleet.holder(but=[first]), within=20)
    assert fleet.end(second, signal.SIGTERM) == 0
    third = eventually(lambda: fleet.holder(but=[first, second]), within=20)
    assert fleet.processes.keys() == {third}
    assert_one_at_a_time(fleet.lines())


@pytest.mark.parametrize("server", ["namespace_url", "postgres_url"])
def test_on_a_server_another_takes_over_from_who_is_killed(fleet, server, request, eventually):
    url = request.getfixturevalue(server)
    for _ in range(2):
        fleet.start(url)
    first = eventually(fleet.holder, within=30)
    fleet.end(first, signal.SIGKILL)
    second = eventually(lambda: fleet.holder(but=[first]), within=20)
    assert fleet.end(second, signal.SIGTERM) == 0
    assert_one_at_a_time(fleet.lines())


def test_who_was_suspended_for_longer_than_its_lease_ends_its_run_and_stands_by(
    fleet, file_url, eventually, stop
):
    class Suspended:
        def send(self, number):
            os.kill(first, number)

    for _ in range(2):
        fleet.start(file_url, lease=3.0, worker="hold")
    first = eventually(fleet.holder, within=30)
    stop(Suspended())
    second = eventually(lambda: fleet.holder(but=[first]), within=30)
    os.kill(first, signal.SIGCONT)
    begun, taken, ended = eventually(lambda: fleet.lines()[2:3] and fleet.lines(), within=20)[:3]
    assert [one.word for one in (begun, taken, ended)] == ["begin", "begin", "end"]
    assert (begun.pid, taken.pid, ended.pid) == (first, second, first)
    assert ended.fence == begun.fence < taken.fence
    fleet.end(second, signal.SIGKILL)
    eventually(lambda: fleet.holder() == first and fleet.lines()[-1].fence > taken.fence, within=20)
