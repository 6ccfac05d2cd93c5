"""Calls and coroutines from any thread to an event loop, with one wake for many.

`call_soon_threadsafe` writes to a socket each time, which gives the interpreter away: 70 µs where
this takes 1 when several come at once.
"""

from __future__ import annotations

from asyncio import iscoroutine
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from contextvars import Context


class ThreadCalls:
    """The calls from other threads to one loop; each runs in the context of its caller."""

    __slots__ = ("_calls", "_loop", "_waking")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: deque[tuple[Callable[[], object], Context]] = deque()
        self._waking = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop."""
        return self._loop

    def call(self, function: Callable[[], object]) -> None:
        """Call a function on the loop soon, in order. Raises `RuntimeError` if it is closed."""
        self._calls.append((function, copy_context()))
        if not self._waking:
            try:
                self._waking = True
                self._loop.call_soon_threadsafe(self._deliver)
            except BaseException:
                self._wake_again()
                raise

    def submit(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run a coroutine on the loop; cancelling the future cancels it.

        Raises `TypeError` for anything else, whose future would never be done, and `RuntimeError`
        if the loop is closed.
        """
        if not iscoroutine(coroutine):
            raise TypeError(f"a coroutine is needed, as of calling an async def, not {coroutine!r}")
        future: Future[Any] = Future()
        try:
            self.call(partial(self._begin, coroutine, future))
        except RuntimeError:
            coroutine.close()  # or Python warns that it was never awaited
            raise
        return future

    def _wake_again(self) -> None:
        """After an exception (Ctrl-C, say): let no call wait for a wake that never came."""
        self._waking = False
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop is closed, which was the exception
            self._calls.clear()

    def _deliver(self) -> None:
        # Before the look at the calls: one that comes after it wakes the loop anew.
        self._waking = False
        try:
            for _ in range(len(self._calls)):
                function, context = self._calls.popleft()
                context.run(function)
        except BaseException:
            # What one raises, an exit or the interrupt of a signal, must not lose the others.
            self._loop.call_soon(self._deliver)
            raise

    def _begin(self, coroutine: Coroutine[Any, Any, Any], future: Future[Any]) -> None:
        if future.cancelled():
            coroutine.close()
            return
        task = self._loop.create_task(coroutine)
        task.add_done_callback(partial(_settle, future))
        future.add_done_callback(partial(self._pass_on_cancel, task))

    def _pass_on_cancel(self, task: asyncio.Task[Any], future: Future[Any]) -> None:
        if future.cancelled():
            # A loop that is closed has cancelled its tasks.
            with suppress(RuntimeError):
                self.call(task.cancel)


def _settle(future: Future[Any], task: asyncio.Task[Any]) -> None:
    if task.cancelled():
        future.cancel()
    if not future.set_running_or_notify_cancel():
        return
    error = task.exception()
    if error is None:
        future.set_result(task.result())
    else:
        future.set_exception(error)
