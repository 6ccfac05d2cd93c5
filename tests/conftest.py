"""What all tests share: waiting on a condition with a deadline, queues, and worker processes."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from uuid import uuid4

import pytest
from hypothesis import settings
from redis import Redis

from mainspring import Queue
from mainspring.supervision.stop_signals import STOP_SIGNALS, TOGETHER
from servers import chromium, postgres, valkey

A_PERSON_WAITS = TOGETHER + 0.1
PATIENCE = 10.0

# How long an example takes says more of the machine than of the code.
settings.register_profile("mainspring", deadline=None)
settings.load_profile("mainspring")

# A shell has what it starts in the background ignore Ctrl-C, and that is inherited.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter):
    """Say once, where everybody reads it, that a part of the tests did not run."""
    if chromium.installed() is None:
        terminalreporter.section("no browser", bold=True)
        terminalreporter.line(chromium.MISSING)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a test of interrupts in a generator, which has a stack of handled exceptions of its own.

    One that comes between a handler and its end leaves the interpreter with an exception that
    nobody handles any more; kept, it keeps the frames of the test, and what they have open.
    """
    if not hasattr(pyfuncitem.module, "Interrupts"):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    given = {name: pyfuncitem.funcargs[name] for name in names}

    def test():
        yield pyfuncitem.obj(**given)

    for _ in test():
        pass
    return True


@pytest.fixture(autouse=True)
def _signals_as_they_were():
    """A command that runs in this process, and an app that it imports, may take signals."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


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


@pytest.fixture(params=["memory", "sqlite", "redis", "postgres"])
def url(request, tmp_path):
    """Where an empty store is: of each kind that a queue can have."""
    if request.param == "redis":
        return request.getfixturevalue("namespace_url")
    if request.param == "postgres":
        return request.getfixturevalue("postgres_url")
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture(scope="session")
def postgres_database():
    """The URL of a database for tests: the one the environment names, or one of our own.

    A server that does not start is a failure, except where its package has no wheel.
    """
    if postgres.VARIABLE in os.environ:
        yield os.environ[postgres.VARIABLE]
        return
    if sys.platform not in postgres.PLATFORMS and not os.environ.get("CI"):
        pytest.skip(f"{postgres.PACKAGE} has no wheel for {sys.platform}")
    server = postgres.make_server()
    try:
        server.start()
        yield server.url
    finally:
        postgres.throw_away(server)


@pytest.fixture
def postgres_url(postgres_database):
    """The URL of an empty schema, which is dropped after the test."""
    with postgres.schema_in(postgres_database) as url:
        yield url


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


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    """The URL of a Redis or Valkey server: the one the environment names, or one of our own."""
    if valkey.VARIABLE in os.environ:
        yield os.environ[valkey.VARIABLE]
        return
    server = valkey.ValkeyServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def namespace_url(redis_url):
    """The URL of an empty store on that server, in a database beside the first."""
    name = uuid4().hex
    yield f"{redis_url.rpartition('/')[0]}/1?namespace={name}"
    with Redis.from_url(f"{redis_url.rpartition('/')[0]}/1") as client:
        if keys := list(client.scan_iter(match=f"{{{name}}}:*", count=1000)):
            valkey.remove_lock_folders(client, name)
            client.unlink(*keys)
