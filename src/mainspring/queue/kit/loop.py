"""An event loop on the clock of a test: who sleeps on it moves the clock and waits for nothing."""

from __future__ import annotations

import asyncio
import selectors
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from mainspring.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterator

    from mainspring.queue.kit.clock import MovedClock

T = TypeVar("T")

OWN_FILES = 1
"""The loop's own: by which threads wake it."""


class ClockSelector(selectors.DefaultSelector):
    """Moves the clock to the loop's next timer instead of waiting for it.

    As long as something is awaited that comes from outside (a socket, a child, a thread), real time
    passes, and moves the clock as well.
    """

    def __init__(self, clock: MovedClock) -> None:
        super().__init__()
        self._clock = clock
        self.calls_in_threads = 0
        self.on_idle: Callable[[], object] | None = None
        """Called where the loop would wait for what may never come, instead of waiting."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the files that are ready, at the latest when the clock is at the next timer."""
        if timeout is not None and timeout <= 0:
            return super().select(timeout)
        if ready := super().select(0):
            return ready
        waits_outside = len(self.get_map()) > OWN_FILES or self.calls_in_threads
        if timeout is None:
            if waits_outside or self.on_idle is None:
                return super().select(None)
            self.on_idle()
            return []
        if waits_outside:
            began = monotonic()
            ready = super().select(timeout)
            self._clock.advance(monotonic() - began)
            return ready
        self._clock.advance(timeout)
        return []


class ClockLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is the clock's."""

    def __init__(self, clock: MovedClock) -> None:
        self._clock = clock
        self._waits = ClockSelector(clock)
        super().__init__(self._waits)

    def time(self) -> float:
        """Return the clock's time."""
        return self._clock.monotonic()

    def run_in_executor(  # type: ignore[override]  # as the loop's own
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run a function in a thread, which no clock can hasten."""
        future = super().run_in_executor(executor, func, *args)
        self._waits.calls_in_threads += 1
        future.add_done_callback(self._note_end)
        return future

    def _note_end(self, future: asyncio.Future[Any]) -> None:  # noqa: ARG002  # the callback's
        self._waits.calls_in_threads -= 1

    async def wait(self, tasks: Collection[asyncio.Task[None]]) -> None:
        """Wait until all of these have ended, or nothing on this loop goes on any more."""
        idle = self.create_future()
        self._waits.on_idle = partial(_settle, idle)
        all_ended = asyncio.gather(*tasks, return_exceptions=True)
        try:
            await asyncio.wait([asyncio.shield(all_ended), idle], return_when="FIRST_COMPLETED")
        finally:
            self._waits.on_idle = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, also where a loop runs in this thread already."""
        with no_running_loop():
            return self.run_until_complete(coroutine)

    def end(self) -> None:
        """Cancel what bodies have left running, and close."""
        with no_running_loop():
            self.run_until_complete(self._end())
            self.close()

    async def _end(self) -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self.shutdown_asyncgens()
        await self.shutdown_default_executor()


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


@contextmanager
def no_running_loop() -> Iterator[None]:
    """Let this thread run a loop, or what does so, while another is in the midst of a step."""
    running = asyncio._get_running_loop()  # noqa: SLF001  # documented, for who writes loops
    asyncio._set_running_loop(None)  # noqa: SLF001  # as above
    try:
        yield
    finally:
        asyncio._set_running_loop(running)  # noqa: SLF001  # as above
