"""Wake-ups among the processes of one host: a datagram to each socket in a private folder.

Knows nothing of jobs or databases. Ringing never blocks, and costs a look at the folder's time
when nobody listens.
"""

from __future__ import annotations

import math
import os
import select
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.clock import monotonic, wall_clock_ns
from mainspring.stores.wake import idle_wait
from mainspring.stores.wake.fallback_poll import LONGEST_NAP_SECONDS, NET_SECONDS, Net, NoNet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mainspring.stores.wake.socket_folder import SocketFolder

DATAGRAM = b"!"
MOST_CONNECTED = 64
"""Listeners to which a socket is kept connected."""

SETTLED_NANOSECONDS = 50_000_000
"""A folder changed since less than this may change again without a change of its time."""


class Ringer:
    """Wakes the listeners of a folder, by a connected socket for each: a path is walked once."""

    def __init__(self, folder: SocketFolder) -> None:
        self._folder = folder
        self._listed_at = 0
        self._names: list[str] = []
        self._connected: dict[str, socket.socket] = {}

    def ring(self, topic: str) -> None:
        """Wake whoever listens for the topic."""
        for name in self._listening():
            if name.startswith(topic):
                self._send(name)

    def close(self) -> None:
        """Let go of the sockets and of the folder."""
        self._disconnect(list(self._connected))
        self._folder.close()

    def _listening(self) -> list[str]:
        changed_at = self._folder.changed_at()
        if changed_at is None:
            return []
        if changed_at != self._listed_at:
            self._names = self._folder.names()
            self._disconnect(self._connected.keys() - self._names)
            settled = wall_clock_ns() - changed_at > SETTLED_NANOSECONDS
            self._listed_at = changed_at if settled else 0
        return self._names

    def _send(self, name: str) -> None:
        try:
            (self._connected.get(name) or self._connect(name)).send(DATAGRAM)
        except ConnectionRefusedError:
            self._disconnect([name])
            self._folder.remove_dead(name)  # its process has gone
        except BlockingIOError:
            return  # a full socket has wake-ups enough
        except OSError:
            self._disconnect([name])  # the net catches any other case

    def _connect(self, name: str) -> socket.socket:
        if len(self._connected) >= MOST_CONNECTED:
            self._disconnect(list(self._connected))
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        connected.setblocking(False)  # noqa: FBT003  # the standard library's signature
        try:
            connected.connect(self._folder.address(name))
        except BaseException:
            connected.close()
            raise
        kept = self._connected.setdefault(name, connected)
        if kept is not connected:  # another thread was faster
            connected.close()
        return kept

    def _disconnect(self, names: Iterable[str]) -> None:
        for name in names:
            connected = self._connected.pop(name, None)
            if connected is not None:
                connected.close()


class SocketListener:
    """Sleeps until the topic is rung or, as a net under that, until `changed()` says so.

    Without `changed` there is no net, and it costs nothing while it sleeps. `watched` is a file
    that each change is written to: while nothing is, the net looks rarely. `rung` is called in the
    thread that a ring wakes, and not when the net does.
    """

    def __init__(
        self,
        folder: SocketFolder,
        topic: str,
        *,
        changed: Callable[[], bool] | None,
        watched: str | None = None,
        rung: Callable[[], None] | None = None,
    ) -> None:
        self._rung = rung
        self._closed = False
        self._poked = False
        self._in_use = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003  # the standard library's signature
        # Asked directly: a socket's own timeout costs a call more, and an exception for each look.
        self._place = select.poll()
        self._place.register(self._socket, select.POLLIN)
        self._first: idle_wait.SocketEar | None = None
        self._second: idle_wait.Place | None = None
        self._folder = folder
        # Processes in containers can have the same number.
        self._name = f"{topic}-{os.getpid():x}-{os.urandom(4).hex()}"
        self._bound = folder.bind(self._socket, self._name)
        self._net: Net | NoNet
        if changed is None:
            # Without a socket nobody can end a longer sleep.
            self._net = NoNet(LONGEST_NAP_SECONDS if self._bound else NET_SECONDS)
        else:
            self._net = Net(changed, watched, self._join)

    def ear(self) -> idle_wait.SocketEar | None:
        """Return a place to wait that is woken instead of `wait`; None if there can be none.

        To be asked for before the first wait, and not to be used after `close`.
        """
        if self._first is None and self._bound and idle_wait.POSSIBLE:
            self._first = idle_wait.SocketEar(self._socket, self._drain)
            self._second = idle_wait.Place(self._socket)
        return self._first

    def wait(self, timeout: float) -> bool:
        """Sleep until there may be something new (True), `timeout` seconds, or until `close`."""
        with self._in_use:
            woken = self._watch(monotonic() + timeout)
        self._let_go()
        return woken

    def poke(self) -> None:
        """End the wait, or the next one, as if the topic had been rung."""
        # Where there is no socket to send to, the net finds this.
        self._poked = True
        if self._second is not None:
            self._second.poke()
            return
        if self._bound:
            with suppress(OSError):
                self._socket.sendto(DATAGRAM, self._folder.address(self._name))

    def close(self) -> None:
        """End the wait; the one who waits lets go of the socket, or we do if nobody does."""
        self._closed = True
        self.poke()
        self._let_go()

    def _watch(self, deadline: float) -> bool:
        now = monotonic()
        while not self._closed:
            pause = min(deadline - now, self._net.pause(now))
            rung, stirred = self._sleep(max(0.0, pause))
            if self._closed:
                return False
            # A ring is taken at its word, without a look; the next look then wakes once more.
            if rung or self._poked:
                self._poked = False
                return True
            now = monotonic()
            if not stirred and self._net.look(now):
                return True
            if now >= deadline:
                return False
        return False

    def _sleep(self, seconds: float) -> tuple[bool, bool]:
        """Return whether it was rung, and whether the net was stirred, within so many seconds."""
        if self._second is not None:
            found = self._second.wait(seconds)
        else:
            found = [descriptor for descriptor, _ in self._place.poll(math.ceil(seconds * 1000))]
        if not found:
            return False, False
        stirred = self._net.descriptor in found
        if stirred:
            self._net.stir()
        return self._drain(), stirred

    def _join(self, descriptor: int) -> None:
        place = self._place if self._second is None else self._second
        place.register(descriptor, select.POLLIN)

    def _drain(self) -> bool:
        """Empty the socket; False if another was faster."""
        found = False
        with suppress(BlockingIOError):
            while self._socket.recv(len(DATAGRAM)):
                found = True
        if found and self._rung is not None:
            self._rung()
        return found

    def _let_go(self) -> None:
        if not self._closed or not self._in_use.acquire(blocking=False):
            return
        self._socket.close()
        self._net.close()
        if self._first is not None:
            self._first.close()
        if self._second is not None:
            self._second.close()
        if self._bound:
            self._folder.remove(self._name)
        self._folder.close()
        self._in_use.release()
