"""Waiting on conditions, with a deadline and without hope."""

import asyncio
import threading
import time

import pytest

from mainspring.background.task_supervisor import TaskSupervisor

PATIENCE = 10.0


@pytest.fixture
def until():
    def wait(condition, patience=PATIENCE):
        deadline = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < deadline, "it did not come true in time"
            time.sleep(0.001)

    return wait


@pytest.fixture
def auntil():
    async def wait(condition, patience=PATIENCE):
        deadline = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < deadline, "it did not come true in time"
            await asyncio.sleep(0.001)

    return wait


@pytest.fixture(autouse=True)
def no_thread_left():
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 5
    while left := set(threading.enumerate()) - before:
        assert time.monotonic() < deadline, f"threads were left behind: {left}"
        time.sleep(0.001)


@pytest.fixture
def supervisor():
    made = TaskSupervisor("test", grace=5.0)
    yield made
    made.stop()
