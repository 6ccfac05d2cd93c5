"""The stack of a child is told while it runs a call, whatever that does."""

from __future__ import annotations

import os
import signal
import threading

import pool_bodies as bodies
import pytest

from mainspring.errors import ChildDied
from mainspring.processes import stack_pipe
from mainspring.processes.stack_pipe import StackPipe


@pytest.fixture
def begin(pool):
    """Run a call under the key "k" in a thread, until the end of the test."""
    threads = []

    def call(function, *args):
        def run():
            with pytest.raises(ChildDied):
                pool.call(function, *args, key="k")

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield call
    pool.interrupt()
    for thread in threads:
        thread.join()


def test_a_body_that_waits_is_told_of_with_its_source(pool, begin, until):
    begin(bodies.stuck_here, 60)
    until(lambda: "stuck_here" in (pool.stack_of("k") or ""))
    # Its own frames and no others, the innermost last, and the same each time.
    for _ in range(3):
        head, source = pool.stack_of("k").splitlines()
        assert head.startswith(f'  File "{bodies.__file__}", line ')
        assert head.endswith(", in stuck_here")
        assert source == "    time.sleep(seconds)"


def test_a_body_that_holds_the_interpreter_in_c_code_is_told_of(pool, begin, until):
    begin(bodies.hold_the_interpreter)
    until(lambda: "in match" in (pool.stack_of("k") or ""))
    assert "in hold_the_interpreter\n    return re.match" in pool.stack_of("k")


def test_a_body_goes_on_after_its_stack_was_asked_for(pool, until):
    stacks = []

    def ask():
        until(lambda: "stuck_here" in (pool.stack_of("k") or ""))
        stacks.extend(pool.stack_of("k") for _ in range(20))

    asking = threading.Thread(target=ask)
    asking.start()
    assert pool.call(bodies.stuck_here, 2, key="k") is None
    asking.join()
    assert stacks[0]
    assert pool.status().deaths == 0


def test_a_child_that_is_suspended_does_not_answer(pool, begin, until, monkeypatch):
    monkeypatch.setattr(stack_pipe, "ANSWER_SECONDS", 0.2)
    begin(bodies.stop_itself)
    until(lambda: pool.stack_of("k") == "")
    # What comes later belongs to no other question.
    begun = pool._free.running("k")
    os.kill(begun.pid, signal.SIGKILL)


def test_of_a_call_that_does_not_run_nothing_is_told(pool):
    assert pool.stack_of("k") is None
    assert pool.call(bodies.stuck_here, 0, key="k") is None
    assert pool.stack_of("k") is None


def test_a_late_answer_is_none_of_the_next_question():
    pipe = StackPipe()
    late = b'  File "late.py", line 1 in late\n'
    new = b'Current thread 0x1 (most recent call first):\n  File "new.py", line 1 in new\n'
    os.write(pipe.child_fd, late)
    assert pipe.ask(lambda _: os.write(pipe.child_fd, new)) == '  File "new.py", line 1, in new'
    pipe.close()
    assert pipe.ask(lambda _: None) is None
