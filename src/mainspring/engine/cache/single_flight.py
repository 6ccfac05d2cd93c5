"""Single flight: of attempts that want one result one runs the body, and the others wait."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from typing import Any

from mainspring.cache.results import PATIENCE


class Turn:
    """One attempt's turn at a key. `decided` is done when it is known whether it runs the body."""

    def __init__(self, limit: float | None) -> None:
        self.decided: Future[bool] = Future()
        self.value: Any = None
        self.limit = limit
        self._landing: asyncio.Future[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fetching: Future[tuple[Any, bool]] | None = None

    def follow(self, fetching: Future[tuple[Any, bool]]) -> None:
        """Set the future of the cache's answer."""
        self._fetching = fetching
        fetching.add_done_callback(self._note_value)

    async def lead(self) -> Any:
        """Have the body run elsewhere, and return its value; on the cache's loop."""
        self._loop = asyncio.get_running_loop()
        self._landing = self._loop.create_future()
        self._decide(leads=True)
        if self.decided.cancelled():
            raise asyncio.CancelledError
        try:
            # Who runs past its time may never come back: others must not wait for it.
            async with asyncio.timeout(self.limit):
                return await self._landing
        except TimeoutError:
            raise asyncio.CancelledError from None

    def land(self, value: Any) -> Future[tuple[Any, bool]] | None:
        """Pass the body's value to the cache; return a future that is done when it is kept."""
        # A loop that is closed keeps nothing any more.
        with suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._settle, value)
                return self._fetching
        return None

    def land_and_wait(self, value: Any) -> None:
        """Pass the body's value to the cache, and wait until it is kept; not on a loop."""
        if (kept := self.land(value)) is not None:
            wait([kept], PATIENCE + 1)

    def give_up(self) -> None:
        """Let the next of those that wait run its body."""
        if self._fetching is not None:
            self._fetching.cancel()

    def _settle(self, value: Any) -> None:
        if self._landing is not None and not self._landing.done():
            self._landing.set_result(value)

    def _note_value(self, fetching: Future[tuple[Any, bool]]) -> None:
        if not fetching.cancelled() and fetching.exception() is None:
            self.value = fetching.result()[0]
            self._decide(leads=False)
        else:
            # The cache has failed, or ends: a body that nobody waits for is no harm to others.
            self._decide(leads=True)

    def _decide(self, *, leads: bool) -> None:
        # It may be decided already, or given up.
        with suppress(InvalidStateError):
            self.decided.set_result(leads)
