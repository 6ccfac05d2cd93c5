"""No test of supervision leaves a thread behind."""

import pytest


@pytest.fixture(autouse=True)
def checked(no_thread_left):
    pass
