"""The first of two places to wait at one socket: while a thread waits there, only that is woken.

So a thread that has nothing to do can wait where notices arrive, and act on them without a hop from
another thread; while it is busy, the one in the second place is woken. Linux only: of the epolls
that watch a descriptor exclusively it wakes the first in which somebody sleeps.
"""

from __future__ import annotations

import os
import select
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from mainspring.model.job import Notice

POSSIBLE = sys.platform == "linux" and hasattr(os, "eventfd")


class ExclusiveWait:
    """A place to sleep at a socket, woken if nobody sleeps in one that was made before.

    Who sleeps in it may be poked, which wakes nobody else.
    """

    def __init__(self, source: socket.socket) -> None:
        self._pokes = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._sleeper = select.epoll()
        self._sleeper.register(source, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        self.register(self._pokes, select.EPOLLIN)

    def register(self, descriptor: int, events: int) -> None:
        """Wait for that descriptor as well."""
        self._sleeper.register(descriptor, events)

    def wait(self, seconds: float | None) -> list[int]:
        """Sleep so long at most (None: without end); return which descriptors have something."""
        found = [descriptor for descriptor, _ in self._sleeper.poll(seconds)]
        if self._pokes in found:
            os.eventfd_read(self._pokes)
        return found

    def poke(self) -> None:
        """End the wait, or the next one; from any thread."""
        os.eventfd_write(self._pokes, 1)

    def close(self) -> None:
        """Close it, when nobody waits any more."""
        self._sleeper.close()
        os.close(self._pokes)


class IdleListener:
    """The first place. `drain` empties the socket and returns what lay in it."""

    def __init__(self, source: socket.socket, drain: Callable[[], Notice | None]) -> None:
        self._place = ExclusiveWait(source)
        self._source = source.fileno()
        self._drain = drain

    def wait(self, timeout: float | None = None) -> Notice | None:
        """Sleep until there may be something new; None if not, after `timeout` or a poke."""
        return self._drain() if self._source in self._place.wait(timeout) else None

    def for_idle(self) -> None:
        """Return no further place."""
        return

    def poke(self) -> None:
        """End the wait, or the next one; from any thread."""
        self._place.poke()

    def close(self) -> None:
        """Close it, when nobody waits any more."""
        self._place.close()
