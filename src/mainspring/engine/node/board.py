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
import re
import struct
import weakref
from typing import TYPE_CHECKING, Protocol

from mainspring.clock import wall_clock
from mainspring.private_files import PrivateFolder, allocate

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from mainspring.model.job import Grant

_ENTRY = struct.Struct("<qq")

MOST_BYTES = 16 << 20
"""Most bytes that are read of a board: a million slots."""

MOST_NAMES = 1000
"""Names in the folder of boards that one look for orphans sees."""

ORPHAN_SECONDS = 60.0

NODE_NAME = re.compile(r"[A-Za-z0-9._-]{0,64}-[0-9]{1,10}-[0-9a-f]{8}")
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]")


class Board(Protocol):
    """The slots' notes of the claims that they begin."""

    def note(self, slot: int, key: int, fence: int) -> None:
        """Note that the slot begins the body of this claim."""
        ...

    def close(self) -> None:
        """Remove the board: the node has left in order."""
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
    """A board in a file of its own, locked from before the node can be seen.

    Its folder belongs to this user. Raises OSError, as on a full disk.
    """

    def __init__(self, path: Path, slots: int) -> None:
        self._path = path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with PrivateFolder(path.parent) as folder:
            self._lock = folder.create(path.name)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A node without slots has a board as well: it is its sign of life.
                allocate(self._lock, _ENTRY.size * max(slots, 1))
                self._memory = _mapped(folder, path.name)
            except BaseException:
                folder.remove(path.name)
                self.let_go()
                raise
        self._pack = _ENTRY.pack_into
        _held.add(self)

    def note(self, slot: int, key: int, fence: int) -> None:
        """Note that the slot begins the body of this claim."""
        self._pack(self._memory, slot * 16, key, fence)

    def close(self) -> None:
        """Remove the file and free its lock."""
        remove(self._path)
        self.let_go()

    def let_go(self) -> None:
        """Close the lock's descriptor; in a forked child that leaves the parent's lock alone."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)


def board_of(run_dir: Path | None, node: str) -> Path | None:
    """Return where the board of a node is; None for a name that no node of ours gives itself.

    The name was read from a store, and must lead to no other file.
    """
    return None if run_dir is None or NODE_NAME.fullmatch(node) is None else run_dir / node


def node_name(host: str, pid: int) -> str:
    """Return a new name for a node, which is the name of its board as well."""
    return f"{NOT_IN_NAMES.sub('_', host)[:64]}-{pid}-{os.urandom(4).hex()}"


def begun_on(path: Path) -> frozenset[Grant] | None:
    """Return (key, fence) of every body begun by the node of that board; None: it can't be read."""
    try:
        with PrivateFolder(path.parent) as folder:
            descriptor = folder.open_existing(path.name)
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(MOST_BYTES)
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
        remove(self._path)

    def close(self) -> None:
        """Free the lock."""
        os.close(self._lock)


def find_dead(path: Path) -> DeadBoard | None:
    """Return the board at `path` if its node is dead; None if it lives, or nothing is known."""
    try:
        with PrivateFolder(path.parent) as folder:
            lock = folder.open_existing(path.name)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return DeadBoard(path, lock)


def is_dead(path: Path) -> bool:
    """Return whether the node of a board has died; False if it lives, or nothing is known.

    For those who only look: they share the lock among them, and keep it for no longer than that.
    """
    try:
        with PrivateFolder(path.parent) as folder:
            lock = folder.open_existing(path.name)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def remove_orphans(run_dir: Path, known: Collection[str]) -> None:
    """Remove boards of nodes that are gone from the store and from this host.

    Such as that of a node whose rescuer was killed before it had removed the board. One made in
    the last minute is left: its node may be about to take the lock and to join.
    """
    with contextlib.suppress(OSError):
        with PrivateFolder(run_dir) as folder:
            names = folder.names(MOST_NAMES)
        for name in names:
            if name not in known and NODE_NAME.fullmatch(name):
                _remove_orphan(run_dir / name)


def _remove_orphan(path: Path) -> None:
    board = find_dead(path)
    if board is None:
        return
    try:
        if wall_clock() - path.lstat().st_mtime > ORPHAN_SECONDS:
            board.remove()
    finally:
        board.close()


def remove(path: Path) -> None:
    """Remove a board, if it can be done: one that stays is an orphan for others to remove."""
    with contextlib.suppress(OSError), PrivateFolder(path.parent) as folder:
        folder.remove(path.name)


def _mapped(folder: PrivateFolder, name: str) -> mmap.mmap:
    # A descriptor of its own: mmap duplicates it, and the copy of a locked one would keep the lock.
    descriptor = folder.open_existing(name)
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
