"""An event loop in a thread of its own, under a name."""

from __future__ import annotations

import asyncio
import functools
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mainspring.errors import AlreadyRunning, NotRunning
from mainspring.supervision.forked import end_forked_on_loop, reset_in_child
from mainspring.supervision.loops.precise_loop import new_loop
from mainspring.supervision.loops.thread_calls import ThreadCalls
from mainspring.supervision.run_in_thread import in_own_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

LAST_WAIT = 0.5
"""Seconds for cancelled coroutines to end."""


class EventLoopThread:
    """Runs coroutines of any thread on a loop of its own.

    `close` lets those that run end; cancelling `run` cancels them. It may be run again after it
    has ended of a failure, not after `close`.
    """

    def __init__(self, name: str, *, thread_name: str | None = None) -> None:
        self._name = name
        self._thread_name = thread_name or name
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._calls: ThreadCalls | None = None
        self._closing: asyncio.Event | None = None
        self._closed = False
        self._serving: asyncio.Task[None] | None = None
        self._active = False
        self.thread: threading.Thread | None = None
        self._ready = threading.Event()
        reset_in_child(self)

    def reset_after_fork(self) -> None:
        """In a child that a coroutine here has forked off: end it before it turns this loop."""
        # The two share what the loop waits on: the parent would miss its wakes.
        if self._loop is not None and self.thread is threading.current_thread():
            self._loop.call_soon(end_forked_on_loop)

    @property
    def name(self) -> str:
        """Its name in the supervisor, the log and the views."""
        return self._name

    @property
    def active(self) -> bool:
        """True if it takes coroutines."""
        return self._loop is not None and not self._closed

    @property
    def current_loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop, or None while there is none."""
        return self._loop

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop; raises `NotRunning` before the start and after the end."""
        if self._loop is None:
            raise NotRunning(f"event loop {self._name!r} is not running; start it first")
        return self._loop

    def wait_active(self, timeout: float) -> bool:
        """Block until it takes coroutines, up to `timeout` seconds; return whether it does."""
        self._ready.wait(timeout)
        return self.active

    def submit(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run a coroutine on the loop; from any thread. Raises `NotRunning`."""
        with self._lock:
            if self._closed or self._calls is None:
                if asyncio.iscoroutine(coroutine):
                    coroutine.close()
                raise NotRunning(f"event loop {self._name!r} is not running; start it first")
            return self._calls.submit(coroutine)

    async def run(self, started: Callable[[], None]) -> None:
        """Run the loop until closed; `started` once it takes coroutines."""
        if self._active:
            raise AlreadyRunning("event loop", self._name)
        if self._closed:
            self._ready.set()
            started()
            return
        self._active = True
        try:
            await self._live(started)
        finally:
            self._active = False
            self._ready.set()  # who waits for a start that failed has waited long enough

    def close(self) -> None:
        """Accept no more coroutines, and end after those that run; from any thread."""
        with self._lock:
            self._closed = True
            if self._loop is not None and self._closing is not None:
                self._loop.call_soon_threadsafe(self._closing.set)

    async def _live(self, started: Callable[[], None]) -> None:
        home = asyncio.get_running_loop()
        ready = functools.partial(home.call_soon_threadsafe, started)
        body = functools.partial(self._live_here, ready)
        thread = asyncio.ensure_future(in_own_thread(body, name=self._thread_name))
        try:
            await asyncio.shield(thread)
        except asyncio.CancelledError:
            self.cancel_all()
            await end_of(thread)
            raise

    def _live_here(self, ready: Callable[[], object]) -> None:
        # Cancelled is how it ends when the grace is over.
        with suppress(asyncio.CancelledError), asyncio.Runner(loop_factory=new_loop) as runner:
            loop = runner.get_loop()
            serving = loop.create_task(self._serve(ready))
            while not serving.done():
                # What a task raises so ends the loop's run, and with it all others' coroutines.
                with suppress(SystemExit, KeyboardInterrupt):
                    loop.run_until_complete(serving)
            serving.result()

    async def _serve(self, ready: Callable[[], object]) -> None:
        with self._lock:
            self._serving = asyncio.current_task()
            self.thread = threading.current_thread()
            self._loop = asyncio.get_running_loop()
            self._calls = ThreadCalls(self._loop)
            self._closing = asyncio.Event()
            if self._closed:
                self._closing.set()
        self._ready.set()
        ready()
        try:
            await self._closing.wait()
            while others := asyncio.all_tasks() - {self._serving}:
                await asyncio.wait(others)
        finally:
            with self._lock:
                self._loop = self._calls = None

    def cancel_all(self) -> None:
        """Close it and cancel what runs on it; from any thread.

        `asyncio.run` cancels the others when its main task is cancelled.
        """
        with self._lock:
            self._closed = True
            if self._loop is not None and self._serving is not None:
                self._loop.call_soon_threadsafe(self._serving.cancel)


async def end_of(thread: asyncio.Future[None]) -> None:
    """Wait a last moment for a thread whose coroutines were cancelled, then leave it behind."""
    await asyncio.wait([thread], timeout=LAST_WAIT)
    thread.cancel()
    await asyncio.wait([thread])
