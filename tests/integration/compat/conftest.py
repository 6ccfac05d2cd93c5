"""A supervisor for each test, and no thread of it left behind."""

import pytest

from mainspring import TaskSupervisor


@pytest.fixture
def supervisor(no_thread_left):
    made = TaskSupervisor("test", grace=5.0)
    yield made
    made.stop()
