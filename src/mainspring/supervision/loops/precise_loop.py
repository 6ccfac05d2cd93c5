"""An asyncio loop that sleeps to the microsecond where epoll counts in whole milliseconds.

epoll rounds up, and Python's arithmetic on top of it often adds one more: a timer of 10 ms comes
1.2 ms late. `select` does not round, and an epoll is a file that it can wait for. Where it does
not matter it is the other way round: sleeps that are long end together, since waking costs more
than what is then done.
"""

from __future__ import annotations

import asyncio
import select
import selectors
import sys
from typing import TYPE_CHECKING

from mainspring.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable

HIGHEST_DESCRIPTOR = 1023
"""`select` takes no higher one."""

GRAINS = ((0.9, 0.02), (0.45, 0.005), (0.09, 0.001))
"""Sleeps of at least so many seconds end at multiples of so many."""

SHARED_FROM = GRAINS[-1][0]
"""Seconds from which on sleeps end together."""


def moment_after(now: float, seconds: float) -> float:
    """Return when a sleep that begins now ends: a long one together with others."""
    moment = now + seconds
    for least, grain in GRAINS:
        if seconds >= least:
            return moment // grain * grain + grain
    return moment


if sys.platform == "linux":

    class PreciseSelector(selectors.EpollSelector):
        """Epoll, with `select` for the time to wait, which knows since when it does not wait."""

        def __init__(self) -> None:
            super().__init__()
            self.back_since: float | None = None  # monotonic(); None: it waits

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            """Wait for events up to `timeout` seconds (None: for ever; 0 or less: not at all)."""
            self.back_since = None
            try:
                if timeout is not None and timeout > 0 and self.fileno() <= HIGHEST_DESCRIPTOR:
                    if not select.select((self,), (), (), timeout)[0]:
                        return []
                    timeout = 0
                return super().select(timeout)
            finally:
                self.back_since = monotonic()

    class PreciseLoop(asyncio.SelectorEventLoop):
        """A loop on that selector, which tells for how long it has been at work."""

        def __init__(self) -> None:
            self._fine = PreciseSelector()
            super().__init__(self._fine)

        def time(self) -> float:
            """Return the clock of its timers, which no test freezes."""
            return monotonic()

        def turn_lasts(self) -> float:
            """Return the seconds since it last waited; 0 while it does. From any thread."""
            since = self._fine.back_since
            return 0.0 if since is None else monotonic() - since

    def new_loop() -> asyncio.AbstractEventLoop:
        """Return a new loop of the program's kind, a fine one if that is asyncio's own."""
        loop = asyncio.new_event_loop()
        if type(loop) is not asyncio.SelectorEventLoop:
            return loop
        loop.close()
        return PreciseLoop()

else:

    def new_loop() -> asyncio.AbstractEventLoop:
        """Return a new loop of the program's kind: elsewhere asyncio's own does not round."""
        return asyncio.new_event_loop()


def turn_of(loop: asyncio.AbstractEventLoop | None) -> float | None:
    """Return the seconds since a loop last waited (0: it waits); None if it is not a fine one."""
    turn_lasts: Callable[[], float] | None = getattr(loop, "turn_lasts", None)
    return None if turn_lasts is None else turn_lasts()
