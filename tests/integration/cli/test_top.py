"""`mainspring top`, as a process under a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from contextlib import contextmanager

import pytest

from mainspring import Queue

LINES, COLUMNS = 24, 80
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def queue(tmp_path):
    """A queue with a job that has failed."""
    made = Queue(db_path=tmp_path / "jobs.db", workers=1, durability="normal")

    @made.task(name="shop.charge", retries=0)
    def charge():
        raise ValueError("no money")

    with made.worker():
        made.gather([charge.delay()], timeout=20, return_exceptions=True)
    yield made
    made.close()


class Screen:
    """A terminal of 80 by 24, and what was drawn on it last."""

    def __init__(self):
        self.ours, self.theirs = pty.openpty()
        termios.tcsetwinsize(self.theirs, (LINES, COLUMNS))
        self._drawn = ""

    def press(self, keys):
        os.write(self.ours, keys.encode())

    def until(self, word, within=20):
        """Read until the picture shows it; return the lines of that picture."""
        deadline = time.monotonic() + within
        while word not in (shown := self.picture()):
            assert time.monotonic() < deadline, f"{word!r} did not come:\n{shown}"
            self._read()
        return shown.split("\n")

    def picture(self):
        """Return the last whole picture, as text."""
        plain = ESCAPES.sub("", self._drawn.rpartition("\x1b[H")[2])
        return plain.replace("\r", "")

    def end(self):
        while self._read():
            pass
        return self._drawn

    def _read(self):
        if not select.select([self.ours], [], [], 0.1)[0]:
            return False
        try:
            new = os.read(self.ours, 65536).decode()
        except OSError:  # Linux says so at the end
            return False
        self._drawn += new
        return bool(new)


@contextmanager
def top(folder, screen, *options):
    command = [sys.executable, "-m", "mainspring", "top", "--db", "jobs.db", *options]
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=screen.theirs,
        stdout=screen.theirs,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TERM": "xterm-256color"},
        start_new_session=True,
    ) as process:
        os.close(screen.theirs)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            os.close(screen.ours)


def test_trouble_is_found_and_mended_with_keys(queue, tmp_path):
    screen = Screen()
    with top(tmp_path, screen, "--interval", "0.1") as process:
        lines = screen.until("ValueError: no money")
        assert any("1 failed" in line for line in lines)
        assert all(len(line) <= COLUMNS for line in lines)
        assert len(lines) <= LINES
        screen.press("p")
        screen.until("default is paused")
        assert queue.paused() == ["default"]
        screen.press("4")
        screen.until("Failing tasks")
        screen.press("\r")
        lines = screen.until("arguments")
        assert any(line.startswith("error") and "ValueError: no money" in line for line in lines)
        screen.press("ry")
        screen.until("1 job of 1 will run again")
        screen.until("pending")
        screen.press("cy")
        screen.until("is cancelled")
        assert queue.stats()["cancelled"] == 1
        screen.press("\x1b")
        screen.until("Failing tasks")
        assert queue.stats()["failed"] == 0
        assert [entry.action for entry in queue.audit()] == [
            "jobs cancel",
            "jobs retry",
            "queues pause",
        ]
        screen.press("q")
        assert process.wait(20) == 0
        assert process.stderr.read() == ""
        # The screen that was there before is there again, with its cursor.
        assert screen.end().endswith("\x1b[?25h\x1b[?1049l")


def test_where_there_is_no_terminal_it_says_so_in_a_line(queue, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mainspring", "top", "--db", "jobs.db"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "needs a terminal" in done.stderr


def test_without_the_extra_it_says_what_to_install(queue, tmp_path):
    screen = Screen()
    (tmp_path / "rich.py").write_text("raise ModuleNotFoundError('no', name='rich')\n")
    with top(tmp_path, screen) as process:
        assert process.wait(20) == 2
        (line,) = process.stderr.read().splitlines()
        assert "pip install 'mainspring[top]'" in line
