"""An asyncio loop that sleeps to the microsecond where epoll counts in whole milliseconds.

epoll rounds up, and Python's arithmetic on top of it often adds one more: a timer of 10 ms comes
1.2 ms late. `select` does not round, and an epoll is a file that it can wait for.
"""

from __future__ import annotations

import asyncio
import select
import selectors
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

HIGHEST_DESCRIPTOR = 1023
"""`select` takes no higher one."""

COARSE = 0.1
"""Seconds of sleep from which a millisecond more does not matter, but a wake-up saved does."""


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a new loop of the kind that this program uses, a fine one if that is asyncio's own."""
    loop = asyncio.new_event_loop()
    if FineSelector is None or type(loop) is not asyncio.SelectorEventLoop:
        return loop
    loop.close()
    return asyncio.SelectorEventLoop(FineSelector())


def moment_after(now: float, seconds: float) -> float:
    """Return when a sleep that begins now ends: a long one with others of that millisecond."""
    moment = now + seconds
    return moment if seconds < COARSE else -(-moment // 0.001) * 0.001


if hasattr(selectors, "EpollSelector"):

    class FineSelector(selectors.EpollSelector):
        """Epoll, with `select` for the time to wait."""

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            """Wait for events up to `timeout` seconds (None: for ever; 0 or less: not at all)."""
            if timeout is not None and 0 < timeout and self.fileno() <= HIGHEST_DESCRIPTOR:
                if not select.select((self,), (), (), timeout)[0]:
                    return []
                timeout = 0
            return super().select(timeout)

else:
    FineSelector = None  # kqueue does not round
