"""A task that adds, one that fails, and jobs that have failed."""

from __future__ import annotations

import pytest


@pytest.fixture
def add(queue):
    @queue.task(name="add")
    def add(a, b=2):
        return a + b

    return add


@pytest.fixture
def fail(queue):
    @queue.task(name="fail", retries=0)
    def fail(kind="ValueError", message="no luck"):
        raise {"ValueError": ValueError, "KeyError": KeyError}[kind](message)

    return fail


@pytest.fixture
def failed(queue, fail, eventually):
    """Make a job that has failed."""

    def make(*args):
        job = fail.delay(*args)
        with queue.worker():
            eventually(lambda: job.status == "failed")
        return job

    return make
