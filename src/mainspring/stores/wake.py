"""Wake-ups among the processes of one host: a datagram to each socket in a private folder.

Knows nothing of jobs or databases. Ringing never blocks, and costs a look at the folder's time
when nobody listens.
"""

from __future__ import annotations

import math
import os
import select
import socket
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.stores import ear
from mainspring.stores.clock import monotonic
from mainspring.stores.net import LONGEST_NAP_SECONDS, NET_SECONDS, Net, NoNet

if TYPE_CHECKING:
    from collections.abc import Callable

RUNTIME = Path("/tmp")  # noqa: S108  # ours in it is checked; socket paths end at 104 bytes
DATAGRAM = b"!"
SETTLED_NANOSECONDS = 50_000_000
"""A folder changed since less than this may change again without a change of its time."""


def meeting_place(name: str) -> Path:
    """Return the folder in which listeners of `name` have their sockets."""
    return RUNTIME / f"mainspring-{os.getuid()}" / name


def open_place(place: Path) -> bool:
    """Make the folder; False if it can't be trusted to be ours alone."""
    try:
        place.parent.mkdir(mode=0o700, exist_ok=True)
        found = place.parent.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o77:
            return False
        # Not `exist_ok`: that looks again, and fails if the folder has gone meanwhile.
        with suppress(FileExistsError):
            place.mkdir(mode=0o700)
    except OSError:
        return False
    return True


class Ringer:
    """Wakes the listeners of a folder."""

    def __init__(self, place: Path) -> None:
        self._place = str(place)
        self._listed_at = 0
        self._names: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003  # the standard library's signature

    def ring(self, topic: str) -> None:
        """Wake whoever listens for the topic."""
        for name in self._listening():
            if name.startswith(topic):
                self._send(f"{self._place}/{name}")

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def _listening(self) -> list[str]:
        try:
            changed_at = os.stat(self._place).st_mtime_ns  # noqa: PTH116  # once a commit
            if changed_at != self._listed_at:
                self._names = os.listdir(self._place)  # noqa: PTH208  # names are all we want
                settled = time.time_ns() - changed_at > SETTLED_NANOSECONDS
                self._listed_at = changed_at if settled else 0
        except FileNotFoundError:
            return []
        return self._names

    def _send(self, path: str) -> None:
        try:
            self._socket.sendto(DATAGRAM, path)
        except ConnectionRefusedError:
            with suppress(OSError):
                os.unlink(path)  # noqa: PTH108  # its process has gone
        except OSError:
            # A full socket has wake-ups enough; the net catches any other case.
            return


class SocketListener:
    """Sleeps until the topic is rung or, as a net under that, until `changed()` says so.

    Without `changed` there is no net, and it costs nothing while it sleeps. `watched` is a file
    that each change is written to: while nothing is, the net looks rarely.
    """

    def __init__(
        self,
        place: Path,
        topic: str,
        *,
        changed: Callable[[], bool] | None,
        watched: str | None = None,
    ) -> None:
        self._closed = False
        self._poked = False
        self._in_use = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003  # the standard library's signature
        # Asked directly: a socket's own timeout costs a call more, and an exception for each look.
        self._place = select.poll()
        self._place.register(self._socket, select.POLLIN)
        self._first: ear.SocketEar | None = None
        self._second: ear.Place | None = None
        self._bound = False
        self._path = f"{place}/{topic}-{os.getpid():x}-{id(self):x}"
        # Who closes last removes the folder, perhaps between our making it and our binding.
        while open_place(place) and not self._bind():
            pass
        self._net: Net | NoNet
        if changed is None:
            # Without a socket nobody can end a longer sleep.
            self._net = NoNet(LONGEST_NAP_SECONDS if self._bound else NET_SECONDS)
        else:
            self._net = Net(changed, watched, self._join)

    def _bind(self) -> bool:
        """Bind the socket; False if the folder has gone. Without any socket there is the net."""
        with suppress(FileNotFoundError):
            os.unlink(self._path)  # noqa: PTH108  # left by a process of our number
        try:
            self._socket.bind(self._path)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        self._bound = True
        return True

    def ear(self) -> ear.SocketEar | None:
        """Return a place to wait that is woken instead of `wait`; None if there can be none.

        To be asked for before the first wait, and not to be used after `close`.
        """
        if self._first is None and self._bound and ear.POSSIBLE:
            self._first = ear.SocketEar(self._socket, self._drain)
            self._second = ear.Place(self._socket)
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
        with suppress(OSError):
            self._socket.sendto(DATAGRAM, self._path)

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
        with suppress(OSError):
            os.unlink(self._path)  # noqa: PTH108  # one flavour of path in this module
            os.rmdir(os.path.dirname(self._path))  # noqa: PTH106, PTH120  # kept while others are in it
        self._in_use.release()
