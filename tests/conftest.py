"""What all tests share: waiting on a condition with a deadline, and worker processes."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest


@pytest.fixture
def eventually():
    """Wait until a condition holds, at most `within` seconds; returns what it gave."""

    def wait(condition, within=10.0):
        deadline = time.monotonic() + within
        while not (value := condition()):
            assert time.monotonic() < deadline, f"{condition} did not hold within {within} s"
            time.sleep(0.005)
        return value

    return wait


class WorkerProcess:
    """A `mainspring worker` in a process of its own."""

    def __init__(self, folder, *options, env=None):
        self.log = folder / f"worker-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mainspring", "worker", "--app", "app:queue", *options],
                cwd=folder,
                stderr=log,
                stdout=log,
                env={**os.environ, **(env or {})},
            )

    def output(self):
        return self.log.read_text()

    def send(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.send(signal.SIGKILL)
        self.process.wait()

    def wait(self, timeout=30):
        return self.process.wait(timeout)


@pytest.fixture
def make_app(tmp_path, monkeypatch):
    """Write `app.py` with the given text and import it as a module of its own."""

    def make(text):
        (tmp_path / "app.py").write_text(textwrap.dedent(text))
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(str(tmp_path))
        sys.modules.pop("app", None)
        return importlib.import_module("app")

    yield make
    app = sys.modules.pop("app", None)
    if app is not None:
        app.queue.close()


@pytest.fixture
def start_worker(tmp_path):
    """Start worker processes for the app in this test's folder; they die with the test."""
    workers = []

    def start(*options, env=None):
        worker = WorkerProcess(tmp_path, *options, env=env)
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        if worker.process.poll() is None:
            worker.kill()
