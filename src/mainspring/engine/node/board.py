"""A node's board: one small file that says, after any death, which bodies had begun.

The file is also the node's sign of life: the node holds a kernel lock (`flock`) on it as long as it
lives, however it dies. A lock that is free means dead; a lock that is held means nothing, since a
stuck node holds one too; a file that is missing means nothing either. Layout: 16 bytes a slot, the
job's key and the claim's fence as little-endian int64. A slot is overwritten, never cleared: what
it says of a job that has ended matches no running claim.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
import weakref
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from mainspring.model.job import Grant

_ENTRY = struct.Struct("<qq")


class Board(Protocol):
    """Where slots note what they begin."""

    def note(self, slot: int, key: int, fence: int) -> None:
        """Note that the slot begins the body of this claim."""
        ...

    def close(self) -> None:
        """Take the board down: the node leaves in peace."""
        ...

    def let_go(self) -> None:
        """Free the lock and leave the board for a rescuer."""
        ...


class NoBoard:
    """For stores whose nodes share one process: they live and die together."""

    def note(self, slot: int, key: int, fence: int) -> None:
        """Note nothing."""

    def close(self) -> None:
        """Leave nothing behind."""

    def let_go(self) -> None:
        """Leave nothing behind."""


class FileBoard:
    """A board in a file of its own, locked from before the node can be seen."""

    def __init__(self, path: Path, slots: int) -> None:
        self._path = path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A node without slots has a board as well: it is its sign of life.
        os.truncate(self._lock, _ENTRY.size * max(slots, 1))
        self._memory = _mapped(path)
        self._pack = _ENTRY.pack_into
        _held.add(self)

    def note(self, slot: int, key: int, fence: int) -> None:
        """Note that the slot begins the body of this claim."""
        self._pack(self._memory, slot * 16, key, fence)

    def close(self) -> None:
        """Remove the file and free its lock."""
        self._path.unlink(missing_ok=True)
        self.let_go()

    def let_go(self) -> None:
        """Close the lock's descriptor; in a forked child that leaves the parent's lock alone."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)


def begun_on(path: Path) -> frozenset[Grant] | None:
    """Return (key, fence) of every body begun by the node of that board; None: it can't be read."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    whole = len(content) - len(content) % _ENTRY.size
    return frozenset((key, fence) for key, fence in _ENTRY.iter_unpack(content[:whole]) if key)


class DeadBoard:
    """The board of a node whose lock was free, held by its rescuer until `close`."""

    def __init__(self, path: Path, lock: int) -> None:
        self._path = path
        self._lock = lock

    def begun(self) -> frozenset[Grant] | None:
        """Return (key, fence) of every body that had begun and may not have been recorded."""
        return begun_on(self._path)

    def remove(self) -> None:
        """Remove the file: the node has been rescued."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Free the lock."""
        os.close(self._lock)


def find_dead(path: Path) -> DeadBoard | None:
    """Return the board at `path` if its node is dead; None if it lives, or nothing is known."""
    try:
        lock = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return DeadBoard(path, lock)


def _mapped(path: Path) -> mmap.mmap:
    # A descriptor of its own: mmap duplicates it, and the copy of a locked one would keep the lock.
    descriptor = os.open(path, os.O_RDWR)
    try:
        return mmap.mmap(descriptor, 0)
    finally:
        os.close(descriptor)


_held: weakref.WeakSet[FileBoard] = weakref.WeakSet()


def _let_go_in_child() -> None:
    for board in list(_held):
        with contextlib.suppress(OSError):
            board.let_go()


os.register_at_fork(after_in_child=_let_go_in_child)
