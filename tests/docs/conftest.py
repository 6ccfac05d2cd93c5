"""Runs samples of other packages' pages: their import changed, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

IMPORT = re.compile(r"^(from|import) (neotasker|atasker)\b", re.MULTILINE)

PREFACE = """
import builtins

def print_whole_lines(*words, write=builtins.print):  # so that threads do not mix theirs
    write(" ".join(map(str, words)) + "\\n", end="")

builtins.print = print_whole_lines
"""

LOOK = """
import sys, time

def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.001)
"""


def with_our_import(sample):
    ours = {"from": "from mainspring", "import": "import mainspring as atasker"}
    return IMPORT.sub(lambda found: ours[found[1]], sample)


@pytest.fixture
def run_sample(tmp_path):
    """Run a sample as a program, with `then` to look on; return the lines that it printed.

    `files` are modules beside it, by name; samples, too.
    """

    def run(sample, then="", **files):
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(with_our_import(text))
        (tmp_path / "program.py").write_text(PREFACE + with_our_import(sample) + LOOK + then)
        done = subprocess.run(
            [sys.executable, "program.py"],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout.splitlines()

    return run
