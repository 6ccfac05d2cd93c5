"""What the body of a job leaves behind that an exception has ended while it waits for another job.

Wherever the exception comes: the job that was waited for runs, and so does what others enqueue and
wait for afterwards, from a body or from outside. And nobody is told that he waits for ever.
"""

import gc
import sys
from contextlib import suppress
from itertools import count

import pytest

from interrupts import WAYS, Interrupts, count_calls
from mainspring import Queue
from mainspring.errors import JobFailed

# What is dropped half made, as a socket that an exception kept from its owner, closes itself.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

PATIENCE = 5.0


class WaitingBodies:
    """A queue whose jobs `thread` and `coroutine` wait for jobs, and are interrupted in that."""

    def __init__(self, url):
        self.queue = Queue(url, workers=2, async_slots=2, durability="normal", grace=5)
        self.interrupts = self.way = self.helped = None

        @self.queue.task(name="helper")
        def helper(number):
            return number

        @self.queue.task(name="thread", retries=0)
        def wait_in_thread(number):
            try:
                with WAYS[self.way](self.interrupts):
                    self.helped = helper.delay(number)
                    return self.helped.result(timeout=PATIENCE)
            except KeyboardInterrupt:
                return "interrupted"

        @self.queue.task(name="coroutine", retries=0)
        async def wait_in_coroutine(number):
            self.interrupts.within = sys._getframe()
            try:
                with WAYS[self.way](self.interrupts):
                    self.helped = await helper.adelay(number)
                    return await self.helped.aresult(timeout=PATIENCE)
            except KeyboardInterrupt:
                return "interrupted"

        self.helper = helper
        self.bodies = {"thread": wait_in_thread, "coroutine": wait_in_coroutine}

    def interrupt_at_each(self, kind, way, moments):
        """Interrupt a body at each of the moments, until one ends before its moment."""
        self.way = way
        for moment in moments:
            self.helped = None
            self.interrupts = interrupts = Interrupts(moment)
            answer = self.run(kind, moment)
            where = f"{kind}, interrupted at {way} {moment}: {interrupts.place}"
            assert answer == ("interrupted" if interrupts.fired else moment), where
            self.check(kind, moment, where)
            if not interrupts.fired:
                return

    def run(self, kind, moment):
        gc.disable()  # an exception in a finalizer goes nowhere
        try:
            return self.bodies[kind].delay(moment).result(timeout=PATIENCE)
        finally:
            gc.enable()

    def check(self, kind, moment, where):
        """Check that what was enqueued runs, and that others can wait, here and in bodies."""
        try:
            if self.helped is not None:
                assert self.helped.result(timeout=PATIENCE) == moment, where
            assert self.helper.delay(moment).result(timeout=PATIENCE) == moment, where
            self.interrupts = Interrupts(-1)
            assert self.bodies[kind].delay(moment).result(timeout=PATIENCE) == moment, where
        except TimeoutError as error:
            error.add_note(where)
            raise


KINDS = ("thread", "coroutine")


@pytest.mark.parametrize(("way", "step"), [("lines", 41), ("calls", 29), ("opcodes", 509)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_body_that_is_interrupted_while_it_waits_wedges_nobody(url, kind, way, step, caplog):
    interrupt_bodies(url, kind, way, count(KINDS.index(kind), step), caplog)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("kind", KINDS)
def test_a_body_that_is_interrupted_anywhere_in_its_wait_wedges_nobody(url, kind, way, caplog):
    interrupt_bodies(url, kind, way, count(), caplog)


def interrupt_bodies(url, kind, way, moments, caplog):
    bodies = WaitingBodies(url)
    with bodies.queue.worker():
        bodies.interrupt_at_each(kind, way, moments)
    bodies.queue.close()
    # One body waits at a time, on one of two slots: nobody is to be warned of those that are over.
    assert " waits for job " not in caplog.text


def interrupt_after_bodies(url, moments):
    """Interrupt the thread of a worker at each of the moments after a body of its has ended."""
    queue = Queue(url, workers=1, durability="normal", grace=5)

    @queue.task(name="body", retries=0)
    def body(moment):
        count_calls(Interrupts(moment))
        return moment

    with queue.worker():
        for moment in moments:
            job = body.delay(moment)
            with suppress(JobFailed):
                assert job.result(timeout=PATIENCE) == moment, moment
            assert job.record.state in {"completed", "failed"}, moment
    queue.close()


@pytest.mark.parametrize("url", ["memory", "sqlite", "redis"], indirect=True)
def test_an_exception_that_comes_when_a_body_has_ended_costs_neither_a_job_nor_the_thread(url):
    interrupt_after_bodies(url, range(0, 600, 13))


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_an_exception_that_comes_at_any_moment_after_a_body_costs_neither(url):
    interrupt_after_bodies(url, range(600))
