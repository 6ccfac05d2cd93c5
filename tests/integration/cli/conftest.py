"""The command `mainspring`, as a process."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest


class Answer:
    """What a command said, and how it ended."""

    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def command(tmp_path):
    """Run a command in this test's folder."""

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "mainspring", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Answer(done)

    return run


@pytest.fixture
def write_app(tmp_path):
    """Write `app.py` without importing it here."""

    def write(text):
        (tmp_path / "app.py").write_text(textwrap.dedent(text))

    return write
