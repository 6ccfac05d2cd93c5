"""A supervisor for each test, and no thread of it left behind."""

import pytest

from mainspring.background.supervisor.front import TaskSupervisor


@pytest.fixture(autouse=True)
def checked(no_thread_left):
    pass


@pytest.fixture
def supervisor():
    made = TaskSupervisor("test", grace=5.0)
    yield made
    made.stop()
