"""Exceptions that come at a moment of choice: at a line, an instruction or a call of our code.

Three ways of coming: at any line and at any instruction (as by a debugger or a tracing timeout),
and after any call of C code (as a signal's or PyThreadState_SetAsyncExc's comes).
"""

import inspect
import sys
from contextlib import contextmanager
from pathlib import Path

import mainspring

RESUMED = inspect.CO_GENERATOR | inspect.CO_COROUTINE
OURS = str(Path(mainspring.__file__).parent)


class Interrupts:
    """Raises KeyboardInterrupt in our code at the moment of a number; counts from 0.

    With `within`, a frame, only what that one has called counts: on an event loop, what one of its
    coroutines has.
    """

    def __init__(self, at):
        self.left = at
        self.within = None
        self.fired = False
        self.place = ""

    def pass_moment(self, frame):
        if self.fired or not self.counts(frame):
            return
        if self.left == 0:
            self.fired = True
            self.place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            raise KeyboardInterrupt
        self.left -= 1

    def counts(self, frame):
        while frame is not None and self.within is not None:
            if frame is self.within:
                return True
            frame = frame.f_back
        return self.within is None


@contextmanager
def at_lines(interrupts, *, opcodes=False):
    """Count lines, or instructions."""
    wanted = "opcode" if opcodes else "line"

    def trace(frame, event, _arg):
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        frame.f_trace_opcodes = opcodes
        frame.f_trace_lines = not opcodes
        if event == wanted:
            interrupts.pass_moment(frame)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def at_opcodes(interrupts):
    """Count instructions."""
    return at_lines(interrupts, opcodes=True)


@contextmanager
def at_calls(interrupts):
    """Count the entries of functions and the returns of C code: there a signal is taken."""
    before = sys.getprofile()
    count_calls(interrupts)
    try:
        yield
    finally:
        sys.setprofile(before)


def count_calls(interrupts):
    """Count them in this thread from now on, also in the functions that have called this one."""

    def profile(frame, event, _arg):
        code = frame.f_code
        # The end of a generator that is dropped looks like a call, and raises to nobody; and what
        # is raised as a coroutine goes on would skip its own handlers, which no signal can.
        entry = event == "call" and not code.co_flags & RESUMED
        if (entry or event == "c_return") and code.co_filename.startswith(OURS):
            interrupts.pass_moment(frame)

    sys.setprofile(profile)


WAYS = {"lines": at_lines, "calls": at_calls, "opcodes": at_opcodes}
