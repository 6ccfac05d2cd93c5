"""The first of two places to sleep at one socket: while anybody sleeps in it, only it is woken.

So a thread that has nothing to do can wait where news arrives, and act on them without a hop from
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

POSSIBLE = sys.platform == "linux" and hasattr(os, "eventfd")


class SocketEar:
    """The first place. `drain` empties the socket and says whether anything lay in it."""

    def __init__(self, source: socket.socket, drain: Callable[[], bool]) -> None:
        self._drain = drain
        self._pokes = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._first = exclusive(source)
        self._first.register(self._pokes, select.EPOLLIN)

    def wait(self) -> bool:
        """Sleep until the socket is rung (True), or until poked (False)."""
        rung = False
        for descriptor, _ in self._first.poll():
            if descriptor == self._pokes:
                os.eventfd_read(self._pokes)
            else:
                rung = self._drain()
        return rung

    def poke(self) -> None:
        """End the wait, or the next one; from any thread."""
        os.eventfd_write(self._pokes, 1)

    def close(self) -> None:
        """Let go of it, when nobody waits any more."""
        self._first.close()
        os.close(self._pokes)


def exclusive(source: socket.socket) -> select.epoll:
    """Return a place to sleep at the socket, woken if nobody sleeps in one that was made before."""
    place = select.epoll()
    place.register(source, select.EPOLLIN | select.EPOLLEXCLUSIVE)
    return place
