"""The folder in which listeners have their sockets: private, or not used at all.

It is opened once and checked, and everything in it is reached through its descriptor: no name that
somebody else can change leads to what is sent to, bound or removed. Only sockets are ever removed.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.clock import monotonic, wall_clock
from mainspring.private_files import NotPrivate, PrivateFolder, make_private_folder

if TYPE_CHECKING:
    import socket

DESCRIPTORS = "/proc/self/fd"
"""Linux has there a path to each open folder, which is short and leads to no other folder."""

SHORT_PATHS = Path("/tmp")  # noqa: S108  # ours in it is checked
LONGEST_ADDRESS = 103
"""Bytes of a socket's path: macOS takes one byte more, for the end; Linux takes 107."""

LONGEST_NAME = 32
MOST_NAMES = 1000
"""Listeners of one database that are heard of."""

MOST_PROBES = 100
"""Sockets that one look asks whether anybody has them open."""

BINDING_SECONDS = 1.0
RETRY_SECONDS = 1.0
"""Time between two tries to open a folder that can't be used."""

_warned: set[str] = set()


class SocketFolder:
    """A folder of sockets, made if it is missing; while it is not private, it is done without."""

    def __init__(self, path: Path, *, make_parent: bool = False) -> None:
        self.path = path
        self._make_parent = make_parent
        self._prefix = str(path)
        self._folder: PrivateFolder | None = None
        self._retry_at = 0.0

    def changed_at(self) -> int | None:
        """Return the time in nanoseconds at which a name came or went; None: not to be used."""
        folder = self._folder or self._open()
        if folder is None:
            return None
        try:
            found = folder.stat()
        except NotPrivate as error:
            self._do_without(error)
            return None
        if not found.st_nlink:  # removed, and perhaps made anew
            self.close()
            return None
        return found.st_mtime_ns

    def names(self) -> list[str]:
        """Return the names in it, a thousand at most."""
        folder = self._folder
        return [] if folder is None else folder.names(MOST_NAMES)

    def address(self, name: str) -> str:
        """Return the address of a socket in the folder, which has been opened."""
        return f"{self._prefix}/{name}"

    def bind(self, listener: socket.socket, name: str) -> bool:
        """Bind a socket to a name in the folder; False: there is no folder to be used."""
        folder = self._folder or self._open()
        if folder is None:
            return False
        self.sweep()
        try:
            listener.bind(self.address(name))
            folder.give_to_owner(name)
        except OSError as error:
            self.remove(name)
            self._do_without(error)
            return False
        return True

    def remove(self, name: str) -> None:
        """Remove a socket that this process has bound."""
        folder = self._folder
        if folder is not None:
            with suppress(OSError):
                folder.remove(name)

    def remove_dead(self, name: str) -> None:
        """Remove a name that refused a datagram, if it is a socket of ours, and not a new one.

        One that is being bound has its name a moment before it takes datagrams.
        """
        folder = self._folder
        if folder is None:
            return
        with suppress(OSError):
            found = folder.look_at(name)
            ours = stat.S_ISSOCK(found.st_mode) and found.st_uid in (os.geteuid(), folder.owner)
            if ours and abs(wall_clock() - found.st_ctime) > BINDING_SECONDS:
                folder.remove(name)

    def sweep(self) -> None:
        """Remove sockets that nobody has open any more."""
        import socket  # noqa: PLC0415  # a lazy door: only who listens sweeps

        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            for name in self.names()[:MOST_PROBES]:
                try:
                    probe.connect(self.address(name))
                except ConnectionRefusedError:
                    self.remove_dead(name)
                except OSError:
                    continue

    def close(self) -> None:
        """Close the folder; the next use opens it again."""
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.close()

    def _open(self) -> PrivateFolder | None:
        if monotonic() < self._retry_at:
            return None
        try:
            with self._parent() as parent:
                opened = parent.make_folder(self.path.name)
        except OSError as error:
            self._do_without(error)
            return None
        if os.path.isdir(DESCRIPTORS):  # noqa: PTH112
            self._prefix = f"{DESCRIPTORS}/{opened.descriptor}"
        self._folder = opened
        return opened

    def _parent(self) -> PrivateFolder:
        if self._make_parent:
            return make_private_folder(self.path.parent)
        return PrivateFolder(self.path.parent)

    def _do_without(self, error: OSError) -> None:
        self.close()
        self._retry_at = monotonic() + RETRY_SECONDS
        if str(self.path) not in _warned:
            _warned.add(str(self.path))
            _warn(self.path, error)


def socket_folder(private: Path, *, name: str) -> SocketFolder:
    """Return the folder for sockets: `private`, which its own folder keeps from others.

    Where its path is too long for an address, it is the folder `name` in one of this user's under
    /tmp. All processes of a user choose the same: no environment variable has a say in it.
    """
    short = len(os.fsencode(private)) + LONGEST_NAME <= LONGEST_ADDRESS
    if short or os.path.isdir(DESCRIPTORS):  # noqa: PTH112
        return SocketFolder(private)
    return SocketFolder(SHORT_PATHS / f"mainspring-{os.geteuid()}" / name, make_parent=True)


def _warn(path: Path, error: OSError) -> None:
    import logging  # noqa: PLC0415  # a lazy door: 5 ms of each producer's start

    logging.getLogger("mainspring.stores").warning(
        "processes can't wake each other by sockets in %s, so that new jobs and results are"
        " seen up to 0.1 s later; look at that folder's owner and mode (%s)",
        path,
        error,
    )
