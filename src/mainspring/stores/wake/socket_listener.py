"""Wake-ups from the other processes of one host: a socket of one's own in a private folder.

Knows nothing of databases: what shows that a datagram got lost is asked as a function.
"""

from __future__ import annotations

import math
import os
import select
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.model.job import ANY_JOB, Notice
from mainspring.stores.wake import idle_wait
from mainspring.stores.wake.datagram import MOST_BYTES, POKE, notice_in
from mainspring.stores.wake.fallback_poll import (
    LONGEST_SECONDS,
    POLL_SECONDS,
    FallbackPoll,
    NoFallbackPoll,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.stores.wake.socket_folder import SocketFolder


class SocketListener:
    """Sleeps until a datagram comes or, as a fallback, until `changed()` says so.

    Without `changed` there is no fallback, and it costs nothing while it sleeps. `watched` is a
    file that each change is written to: while nothing is, the fallback looks rarely. `notified`
    is called in the thread that a datagram wakes, and not when the fallback does.
    """

    def __init__(
        self,
        folder: SocketFolder,
        topic: str,
        *,
        changed: Callable[[], bool] | None,
        watched: str | None = None,
        notified: Callable[[], None] | None = None,
    ) -> None:
        self._notified = notified
        self._closed = False
        self._poked = False
        self._in_use = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003  # the standard library's signature
        # Asked directly: a socket's own timeout costs a call more, and an exception for each look.
        self._place = select.poll()
        self._place.register(self._socket, select.POLLIN)
        self._first: idle_wait.IdleListener | None = None
        self._second: idle_wait.ExclusiveWait | None = None
        self._folder = folder
        # Processes in containers can have the same number.
        self._name = f"{topic}-{os.getpid():x}-{os.urandom(4).hex()}"
        self._bound = folder.bind(self._socket, self._name)
        self._poll: FallbackPoll | NoFallbackPoll
        if changed is None:
            # Without a socket nobody can end a longer sleep.
            self._poll = NoFallbackPoll(LONGEST_SECONDS if self._bound else POLL_SECONDS)
        else:
            self._poll = FallbackPoll(changed, watched, self._join)

    def for_idle(self) -> idle_wait.IdleListener | None:
        """Return a place to wait that is woken instead of `wait`; None if there can be none."""
        if self._first is None and self._bound and idle_wait.POSSIBLE:
            self._first = idle_wait.IdleListener(self._socket, self._drain)
            self._second = idle_wait.ExclusiveWait(self._socket)
        return self._first

    def wait(self, timeout: float | None = None) -> Notice | None:
        """Sleep until there may be something new; None if not, after `timeout` or a poke."""
        with self._in_use:
            notice = self._wait_until(math.inf if timeout is None else monotonic() + timeout)
        self._let_go()
        return notice

    def poke(self) -> None:
        """End the wait, or the next one, without a notice."""
        # Where there is no socket to send to, the fallback poll finds this.
        self._poked = True
        if self._second is not None:
            self._second.poke()
            return
        if self._bound:
            with suppress(OSError):
                self._socket.sendto(POKE, self._folder.address(self._name))

    def close(self) -> None:
        """End the wait; the one who waits lets go of the socket, or we do if nobody does."""
        self._closed = True
        self.poke()
        self._let_go()

    def _wait_until(self, deadline: float) -> Notice | None:
        now = monotonic()
        while not self._closed:
            pause = min(deadline - now, self._poll.pause(now))
            notice, written = self._sleep(max(0.0, pause))
            if self._closed:
                return None
            # A datagram is taken at its word, without a look; the next look then wakes once more.
            if notice is not None or self._poked:
                self._poked = False
                return notice
            now = monotonic()
            if not written and self._poll.look(now):
                return ANY_JOB
            if now >= deadline:
                return None
        return None

    def _sleep(self, seconds: float) -> tuple[Notice | None, bool]:
        """Return what came within so many seconds, and whether the watched file was written."""
        if self._second is not None:
            found = self._second.wait(seconds)
        else:
            found = [descriptor for descriptor, _ in self._place.poll(math.ceil(seconds * 1000))]
        if not found:
            return None, False
        written = self._poll.descriptor in found
        if written:
            self._poll.written()
        return self._drain(), written

    def _join(self, descriptor: int) -> None:
        place = self._place if self._second is None else self._second
        place.register(descriptor, select.POLLIN)

    def _drain(self) -> Notice | None:
        """Empty the socket; None if another was faster."""
        received: list[bytes] = []
        with suppress(BlockingIOError):
            while datagram := self._socket.recv(MOST_BYTES):
                received.append(datagram)
        notice = notice_in(received)
        if notice is not None and self._notified is not None:
            self._notified()
        return notice

    def _let_go(self) -> None:
        if not self._closed or not self._in_use.acquire(blocking=False):
            return
        self._socket.close()
        self._poll.close()
        if self._first is not None:
            self._first.close()
        if self._second is not None:
            self._second.close()
        if self._bound:
            self._folder.remove(self._name)
        self._folder.close()
        self._in_use.release()
