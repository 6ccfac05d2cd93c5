"""Workers of every kind and colour, a supervisor for each test, and no thread of it left behind."""

import asyncio

import pytest

from mainspring import TaskSupervisor, background_worker

KINDS = {
    "continuous": {},
    "queue": {"queue": True},
    "event": {"event": True},
    "interval": {"interval": 0.002},
    "delay": {"delay": 0.002},
}


@pytest.fixture(autouse=True)
def checked(no_thread_left):
    pass


@pytest.fixture
def supervisor():
    made = TaskSupervisor("test", grace=5.0)
    yield made
    made.stop()


@pytest.fixture(params=["sync", "async"])
def colour(request):
    return request.param


@pytest.fixture(params=list(KINDS))
def kind(request):
    return request.param


@pytest.fixture
def of_kind(kind):
    """Return the options that make a worker of this kind."""
    return dict(KINDS[kind])


@pytest.fixture
def make(supervisor, colour):
    """Make a worker of a plain function, as it is or as a coroutine function."""

    def worker(target, **options):
        options.setdefault("supervisor", supervisor)
        if colour == "sync":
            return background_worker(**options)(target)

        async def atarget(*args, **kwargs):
            await asyncio.sleep(0)
            return target(*args, **kwargs)

        atarget.__name__ = getattr(target, "__name__", "atarget")
        return background_worker(**options)(atarget)

    return worker


@pytest.fixture
def feed(kind):
    """Set a worker going once more, however its kind is set going."""

    def once(worker):
        if kind == "queue":
            worker.put_threadsafe("item")
        elif kind == "event":
            worker.trigger_threadsafe()

    return once
