"""The command `mainspring demo`, as a process, on a small tree and on a terminal."""

from __future__ import annotations

import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mainspring.cli.demo.report import Attempts, Report
from mainspring.cli.demo.source import SourceFile
from mainspring.errors import WorkerLost
from mainspring.model.job import Failure
from mainspring.model.view import AttemptRecord

WITHIN = 60


@pytest.fixture
def tree(tmp_path):
    """Six files to index; what is in test folders, hidden folders and packages is none of them."""
    root = tmp_path / "tree"
    files = {
        "one.py": b"def first():\n    pass\n\n\nclass One:\n    async def act(self):\n        1\n",
        "broken.py": b"def broken(:\n",
        "empty.py": b"",
        "inner/latin.py": "# -*- coding: latin-1 -*-\nNAME = 'caf\xe9'\n".encode("latin-1"),
        "inner/deeper/long.py": b"def long():\n" + b"    x = 1\n" * 40,
        "inner/deeper/nested.py": b"def outer():\n    def inner():\n        pass\n    return 1\n",
        "notes.txt": b"def no_source(): pass\n",
        "tests/test_one.py": b"def test_it():\n    pass\n",
        ".hidden/secret.py": b"pass\n",
        "site-packages/other.py": b"pass\n",
    }
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


@pytest.fixture
def start_demo(tmp_path):
    """Start the demo with a folder of its own for temporary files; it ends with the test."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    started = []

    def start(*options, out=subprocess.PIPE, **env):
        demo = subprocess.Popen(
            [sys.executable, "-m", "mainspring", "demo", *map(str, options)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(scratch), **env},
        )
        started.append(demo)
        return demo

    yield start
    for demo in started:
        if demo.poll() is None:
            demo.terminate()
        demo.communicate(timeout=WITHIN)


@pytest.fixture
def run_demo(start_demo):
    """Run the demo to its end; returns exit code, output and errors."""

    def run(*options):
        demo = start_demo(*options)
        out, err = demo.communicate(timeout=WITHIN)
        return demo.returncode, out, err

    return run


def figures(report):
    """The report's figures by name."""
    return dict(re.findall(r"^  (\w[\w ]*?) {2,}([\d.,]+|none)", report, re.MULTILINE))


def longest(report):
    return re.findall(r"^ +(\d+) lines  (\S+)  (\S+)$", report, re.MULTILINE)


def test_the_report_tells_what_is_in_the_tree(run_demo, tree, tmp_path):
    code, out, err = run_demo("--path", tree)
    assert (code, err) == (0, "")
    said = figures(out)
    assert {name: said[name] for name in ("files", "lines", "functions", "classes")} == {
        "files": "6",
        "lines": "55",
        "functions": "5",
        "classes": "1",
    }
    assert said["do not parse"] == "1"
    assert "broken.py: SyntaxError" in out
    assert longest(out) == [
        ("41", "long", "inner/deeper/long.py:1"),
        ("4", "outer", "inner/deeper/nested.py:1"),
        ("2", "outer.inner", "inner/deeper/nested.py:2"),
        ("2", "first", "one.py:1"),
        ("2", "One.act", "one.py:6"),
    ]
    assert said["jobs run"] == "9"
    assert int(said["attempts"]) == 9 + int(said["crashes recovered"])
    assert said["children left behind"] == "none"
    assert "6 of 6 files stand in the report exactly once" in out
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_demo_runs_over_a_store_on_a_server(run_demo, tree, namespace_url):
    code, out, _ = run_demo("--path", tree, "--url", namespace_url, "--keep")
    assert code == 0
    assert figures(out)["jobs run"] == "9"
    assert "6 of 6 files stand in the report exactly once" in out
    assert f"The database is {namespace_url}, the workers' logs are in " in out


def test_without_a_terminal_progress_is_plain_lines(run_demo, tree):
    _, out, _ = run_demo("--path", tree)
    assert "\r" not in out
    assert "\x1b" not in out
    assert re.search(r"^indexing \[#{30}\] 6/6 files, .*/s, took .* s$", out, re.MULTILINE)
    assert re.search(
        r"^Killed worker \d+ with SIGKILL; it had \d+ child processes$", out, re.MULTILINE
    )


def test_with_tests_indexes_test_folders_too(run_demo, tree):
    code, out, _ = run_demo("--path", tree, "--with-tests")
    assert code == 0
    assert figures(out)["files"] == "7"


def test_keep_leaves_the_database_and_says_where(run_demo, tree):
    code, out, _ = run_demo("--path", tree, "--keep")
    assert code == 0
    database = Path(re.search(r"^The database is (.+?jobs\.db)", out, re.MULTILINE)[1])
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM mainspring_finished").fetchone() == (9,)
    connection.close()
    assert sorted(path.name for path in database.parent.glob("*.log")) == [
        "worker-1.log",
        "worker-2.log",
        "worker-3.log",
    ]


@pytest.mark.parametrize("bad", ["nowhere", "tree/one.py", "tree/hollow"])
def test_a_path_that_cannot_be_indexed_is_one_line_and_exit_code_2(run_demo, tree, tmp_path, bad):
    (tree / "hollow").mkdir()
    code, _, err = run_demo("--path", tmp_path / bad)
    assert code == 2
    assert re.fullmatch(rf"mainspring: error: .*--path='{tmp_path / bad}' .*\n", err)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_worker_that_cannot_start_is_one_line_and_exit_code_2(start_demo, tree, tmp_path):
    saboteur = "import sys\nif 'worker' in sys.orig_argv: sys.exit('no worker today')\n"
    (tmp_path / "sitecustomize.py").write_text(saboteur)
    demo = start_demo("--path", tree, PYTHONPATH=str(tmp_path))
    _, err = demo.communicate(timeout=WITHIN)
    assert demo.returncode == 2
    assert "no worker today" in err
    assert len(err.splitlines()) == 1


def test_an_interrupt_ends_the_demo_and_its_workers(start_demo, tree, tmp_path):
    for number in range(300):
        (tree / f"more_{number}.py").write_text("def more():\n    pass\n" * 2000)
    demo = start_demo("--path", tree)
    pids = re.match(r"Workers (\d+) and (\d+)", demo.stdout.readline()).groups()
    while "files to measure" not in demo.stdout.readline():
        pass
    demo.send_signal(signal.SIGINT)
    out, err = demo.communicate(timeout=WITHIN)
    assert demo.returncode == 130
    assert "Interrupted" in out
    assert err == ""
    assert not any(is_running(int(pid)) for pid in pids)
    assert list((tmp_path / "scratch").iterdir()) == []


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_on_a_terminal_one_line_of_progress_is_redrawn(start_demo, tree):
    mine, theirs = pty.openpty()
    demo = start_demo("--path", tree, out=theirs, TERM="xterm", NO_COLOR="")
    os.close(theirs)
    out = read_to_the_end(mine).decode()
    assert demo.wait(WITHIN) == 0
    redrawn = re.findall(r"\r\x1b\[K(indexing|checking) \[", out)
    assert {"indexing", "checking"} <= set(redrawn)
    assert "\x1b[1m" in out
    assert "\x1b[32m6 of 6 files" in out
    assert figures(re.sub(r"\r(\n|\x1b\[K)", r"\1", out).replace("\x1b[K", ""))["files"] == "6"


def read_to_the_end(terminal):
    """Read what a process writes on a terminal until it has closed it."""
    read = bytearray()
    while True:
        try:
            some = os.read(terminal, 65536)
        except OSError:  # Linux's end of file
            some = b""
        if not some:
            os.close(terminal)
            return bytes(read)
        read += some


def report_of(found, straight, left_behind=0):
    return Report(
        root=Path("/tree"),
        folders=1,
        found=found,
        straight=straight,
        attempts=Attempts(1, 1, 0),
        left_behind=left_behind,
        seconds=(3.0, 2.0, 1.0),
    )


ONE, TWO = SourceFile("/tree/one.py", lines=1), SourceFile("/tree/two.py", lines=2)


@pytest.mark.parametrize(
    "found",
    [[ONE], [ONE, TWO, TWO], [ONE, SourceFile("/tree/two.py", lines=3)]],
    ids=["missing", "twice", "another figure"],
)
def test_the_check_finds_a_file_that_is_not_as_the_straight_loop_says(found):
    report = report_of(found, [ONE, TWO])
    assert not report.holds
    assert report.verdict().startswith("1 of 2 files stand")
    assert report.verdict().endswith("Not so: two.py")


def test_a_child_left_behind_fails_the_check():
    assert report_of([ONE, TWO], [TWO, ONE]).holds
    assert not report_of([ONE, TWO], [TWO, ONE], left_behind=1).holds


def test_crashes_are_the_attempts_that_lost_their_worker():
    lost = Failure(f"{WorkerLost.__module__}.{WorkerLost.__qualname__}", "gone")
    error = Failure("builtins.ValueError", "no")
    histories = [
        [attempt("released"), attempt("crashed", lost), attempt("completed")],
        [attempt("retry", error), attempt("completed")],
    ]
    assert Attempts.of(histories) == Attempts(jobs=2, begun=4, crashed=1)


def attempt(outcome, failure=None):
    now = datetime.now(UTC)
    return AttemptRecord(1, "node", now, now, outcome, failure)
