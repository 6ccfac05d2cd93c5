"""A service made of what is started and stopped: from `run` to `close`."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from mainspring.errors import AlreadyRunning

if TYPE_CHECKING:
    from collections.abc import Callable


class Startable(Protocol):
    """Anything with a `start` and a `stop`, on the loop that runs it."""

    @property
    def name(self) -> str:
        """For the sentence of an error."""
        ...

    async def start(self) -> None:
        """Start."""
        ...

    async def stop(self, seconds: float = ..., /) -> None:
        """Stop, and give what runs so many seconds."""
        ...

    @property
    def stop_timeout(self) -> float:
        """The seconds to give it, if nothing presses."""
        ...


class StartableService:
    """Starts one of them, and stops it once closed, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # close() may come from a signal handler
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._closed = False

    async def run(self, one: Startable, started: Callable[[], None]) -> None:
        """Start it, wait for `close`, stop it; cancelled, it gives what runs no time."""
        with self._lock:
            if self._end is not None:
                raise AlreadyRunning("service", one.name)
            self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
            if self._closed:
                self._end.set()
        try:
            await self._live(one, started, self._end)
        finally:
            with self._lock:
                self._loop = self._end = None

    def close(self) -> None:
        """Ask it to end."""
        with self._lock, suppress(RuntimeError):  # a loop that is closed has ended it already
            self._closed = True
            if self._loop is not None and self._end is not None:
                self._loop.call_soon_threadsafe(self._end.set)

    async def _live(self, one: Startable, started: Callable[[], None], end: asyncio.Event) -> None:
        if end.is_set():
            started()
            return
        await one.start()
        try:
            started()
            await end.wait()
        except BaseException:
            await one.stop(0)
            raise
        await one.stop(one.stop_timeout)
