"""How a body in a child process may end: a death is a crash, anything raised a failed attempt."""

from __future__ import annotations

import pytest

from histories import attempts
from mainspring.errors import JobFailed

APP = """
    import os
    import signal
    import sys

    from mainspring import Exponential, Queue, current_job

    queue = Queue({url!r}, workers=2, durability="normal", grace=5)

    def die_by(number):
        os.kill(os.getpid(), number)
        signal.pause()

    DEATHS = {{
        "code 3": lambda: os._exit(3),
        "code 0": lambda: os._exit(0),
        "SIGSEGV": lambda: die_by(signal.SIGSEGV),
        "SIGKILL": lambda: die_by(signal.SIGKILL),
        "SIGTERM": lambda: die_by(signal.SIGTERM),
        "SIGABRT": os.abort,
    }}

    def raise_it(error):
        raise error

    ERRORS = {{
        "SystemExit": sys.exit,
        "SystemExit: 3": lambda: sys.exit(3),
        "KeyboardInterrupt": lambda: raise_it(KeyboardInterrupt),
        "MemoryError": lambda: bytearray(1 << 47),
        "GeneratorExit": lambda: raise_it(GeneratorExit),
        "RecursionError": lambda: call_without_end(0),
    }}

    def call_without_end(depth):
        return call_without_end(depth + 1)

    @queue.task(executor="process", retries=0)
    def die(how, times=1):
        if current_job.crashes < times:
            DEATHS[how]()
        return how

    @queue.task(executor="process", retries=1, backoff=Exponential(base=0.0))
    def fail(how):
        if current_job.attempt == 1:
            ERRORS[how]()
        return how

    @queue.task(executor="process", retries=0)
    def interrupted():
        os.kill(os.getpid(), signal.SIGINT)
        return "heedless"

    @queue.task(executor="process", retries=0)
    def innocent(number):
        return number
"""

DEATHS = ["code 3", "code 0", "SIGSEGV", "SIGKILL", "SIGTERM", "SIGABRT"]
ERRORS = [
    "SystemExit",
    "SystemExit: 3",
    "KeyboardInterrupt",
    "MemoryError",
    "GeneratorExit",
    "RecursionError",
]


@pytest.fixture
def app(url, make_app):
    return make_app(APP.format(url=url))


def history(app, job):
    """Return how each body that began has ended, and of what."""
    return [(one.outcome, str(one.failure or "")) for one in attempts(job)]


def crashes(app, job):
    return app.queue._store.get(job.id).crashes


def test_a_child_that_dies_costs_its_job_a_crash_with_the_evidence_and_no_attempt(app):
    with app.queue.worker():
        jobs = {how: app.die.delay(how) for how in DEATHS}
        others = [app.innocent.delay(number) for number in range(20)]
        for how, job in jobs.items():
            assert job.result(timeout=60) == how
        assert [job.result(timeout=60) for job in others] == list(range(20))
    for how, job in jobs.items():
        (first, evidence), (second, _) = history(app, job)
        assert (first, second) == ("crashed", "completed")
        assert how in evidence
        assert crashes(app, job) == 1
    assert {crashes(app, job) for job in others} == {0}
    assert {len(history(app, job)) for job in others} == {1}


def test_whatever_a_body_raises_in_a_child_is_a_failed_attempt_and_no_crash(app):
    with app.queue.worker():
        jobs = {how: app.fail.delay(how) for how in ERRORS}
        for how, job in jobs.items():
            assert job.result(timeout=60) == how
    for how, job in jobs.items():
        (first, evidence), (second, _) = history(app, job)
        assert (first, second) == ("retry", "completed")
        assert how in evidence
        assert crashes(app, job) == 0


def test_a_child_heeds_no_interrupt_that_is_meant_for_its_worker(app):
    with app.queue.worker():
        job = app.interrupted.delay()
        assert job.result(timeout=60) == "heedless"
    assert crashes(app, job) == 0


def test_a_job_that_kills_three_children_has_failed_with_the_evidence(app):
    with app.queue.worker():
        job, other = app.die.delay("code 3", 9), app.innocent.delay(1)
        with pytest.raises(JobFailed, match=r"lost its worker 3 times.*exited with code 3"):
            job.result(timeout=60)
        assert other.result(timeout=60) == 1
    assert crashes(app, job) == 3
    assert [outcome for outcome, _ in history(app, job)] == ["crashed", "crashed", "failed"]
