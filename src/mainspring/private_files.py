"""Folders and files that nobody else can have prepared or can write to.

A name in a folder that others may write to can lead anywhere. So a folder is opened once, without
following a link; owner, kind and mode are checked on the descriptor, and everything in the folder
is reached through it.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Collection

OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_FILE = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Without O_NONBLOCK, opening a pipe that stands in the place of a file could wait for ever."""

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600
MOST_LINKS = 40

NOT_OFFERED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
"""The answers of file systems that allocate nothing in advance."""

BESIDE_DATABASE = ("-wal", "-shm", "-journal")
"""Endings of the files that SQLite reads and writes beside a database."""

NO_FOLDER = frozenset({errno.ENOTDIR, errno.ELOOP})
NO_PLAIN_FILE = frozenset({errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EOPNOTSUPP})
"""The kernel's answers to the flags above for links, for folders, and for sockets."""


class NotPrivate(OSError):
    """Somebody else has made a path, or can write to it; `why` says who, `remedy` what to do."""

    def __init__(self, path: str, why: str, remedy: str) -> None:
        super().__init__(f"{path}: {why}; {remedy}")
        self.path = path
        self.why = why
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        """Have it pickled as what it was made from."""
        return type(self), (self.path, self.why, self.remedy), self.__dict__


class PrivateFolder:
    """An open folder that belongs to this user and that nobody else can write to.

    `owners` are the users whose folder root accepts besides its own; None: anybody's, for a folder
    inside one that was checked. What root makes in it belongs to the folder's owner. Raises
    `NotPrivate`, or the OSError of a folder that can't be opened.
    """

    descriptor = -1

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        owners: Collection[int] | None = None,
        within: PrivateFolder | None = None,
    ) -> None:
        name, self.path = os.fspath(path), os.fspath(path)
        if within is not None:
            self.path = f"{within.path}/{name}"
        try:
            self.descriptor = os.open(
                name, OPEN_FOLDER, dir_fd=None if within is None else within.descriptor
            )
        except OSError as error:
            if error.errno in NO_FOLDER:
                raise no_folder(self.path) from None
            error.filename = self.path
            raise
        try:
            self.owner = self._checked(owners)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def stat(self) -> os.stat_result:
        """Return what the folder is now; raise `NotPrivate` if others may write to it."""
        found = os.fstat(self.descriptor)
        if found.st_mode & OTHERS_WRITE or found.st_uid != self.owner:
            raise open_to_others(self.path, found)
        return found

    def open(self, name: str) -> int:
        """Open a file that is ours for reading and writing, made if it is missing."""
        with suppress(FileExistsError):
            return self.create(name)
        return self.open_existing(name)

    def create(self, name: str) -> int:
        """Make a file; raises FileExistsError if there is anything by that name."""
        flags = OPEN_FILE | os.O_CREAT | os.O_EXCL
        descriptor = self._open(name, flags)
        # Only what was made just now: a name that was there could be another file's second one.
        self._give_to_owner(descriptor)
        return descriptor

    def open_existing(self, name: str) -> int:
        """Open a file that is there; raises `NotPrivate` if it is no plain file of ours."""
        descriptor = self._open(name, OPEN_FILE)
        try:
            check_file(f"{self.path}/{name}", os.fstat(descriptor), {self.owner})
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def make_folder(self, name: str) -> PrivateFolder:
        """Open a folder in this one, made if it is missing."""
        made = False
        with suppress(FileExistsError):
            os.mkdir(name, PRIVATE_FOLDER, dir_fd=self.descriptor)
            made = True
        folder = PrivateFolder(name, within=self)
        if made:
            self._give_to_owner(folder.descriptor)
            folder.owner = self.owner
        return folder

    def give_to_owner(self, name: str) -> None:
        """Hand a file that root has just made in somebody's folder to the folder's owner."""
        if os.geteuid() == 0 and self.owner != 0:
            group = os.fstat(self.descriptor).st_gid
            os.chown(name, self.owner, group, dir_fd=self.descriptor, follow_symlinks=False)

    def names(self, limit: int) -> list[str]:
        """Return the names in it, at most so many, in no order."""
        # One call: an exception from outside can't leave an iterator open, as with scandir.
        return os.listdir(self.descriptor)[:limit]  # noqa: PTH208  # a descriptor

    def look_at(self, name: str) -> os.stat_result:
        """Return what a name stands for, without following a link."""
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)

    def remove(self, name: str) -> None:
        """Remove a name, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.descriptor)

    def _open(self, name: str, flags: int) -> int:
        try:
            return os.open(name, flags, PRIVATE_FILE, dir_fd=self.descriptor)
        except OSError as error:
            path = f"{self.path}/{name}"
            if error.errno in NO_PLAIN_FILE:
                raise no_file(path) from None
            error.filename = path
            raise

    def _give_to_owner(self, descriptor: int) -> None:
        if os.geteuid() == 0 and self.owner != 0:
            os.fchown(descriptor, self.owner, os.fstat(self.descriptor).st_gid)

    def _checked(self, owners: Collection[int] | None) -> int:
        found = os.fstat(self.descriptor)
        user = os.geteuid()
        accepted = user == 0 and (owners is None or found.st_uid in owners)
        if found.st_uid != user and not accepted:
            raise stranger(self.path, found.st_uid, "who could keep you from writing")
        if found.st_uid == user and found.st_mode & 0o077:
            # Ours, so that the mode was a slip, such as `chmod -R`. Some disks have but one mode.
            with suppress(OSError):
                os.fchmod(self.descriptor, PRIVATE_FOLDER)
            found = os.fstat(self.descriptor)
        if found.st_mode & OTHERS_WRITE:
            raise open_to_others(self.path, found)
        return found.st_uid


def make_private_folder(path: str | os.PathLike[str], *, owner: int | None = None) -> PrivateFolder:
    """Open a folder, made if it is missing; root makes it `owner`'s, or accepts it as such."""
    made = False
    with suppress(FileExistsError):
        os.mkdir(path, PRIVATE_FOLDER)  # noqa: PTH102
        made = True
    folder = PrivateFolder(path, owners=() if owner is None else (owner,))
    if made and owner is not None and os.geteuid() == 0 and owner != 0:
        os.fchown(folder.descriptor, owner, -1)
        folder.owner = owner
    return folder


def check_file(path: str, found: os.stat_result, owners: Collection[int]) -> None:
    """Raise `NotPrivate` unless it is a plain file of this user, of root or of one of `owners`.

    For users other than root, `owners` adds nobody but themselves.
    """
    if not stat.S_ISREG(found.st_mode):
        raise no_file(path)
    user = os.geteuid()
    trusted = {0, *owners} if user == 0 else {0, user}
    if found.st_uid not in trusted:
        raise stranger(path, found.st_uid, "who can read and change what is in it")


def allocate(descriptor: int, size: int) -> None:
    """Fill an empty file with so many zeros; raises OSError if the disk has no room for them.

    In a file with holes a write by way of memory would find that out, which kills the process.
    """
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in NOT_OFFERED:
                raise
        else:
            return
    zeros = bytes(size)
    while zeros:
        zeros = zeros[os.write(descriptor, zeros) :]


def check_database(path: str) -> None:
    """Raise `NotPrivate` if a stranger made a SQLite file, or one that SQLite would use with it.

    Or if he may have made its name: not every system keeps him from linking another's files.
    """
    owner = os.lstat(path).st_uid
    folder = os.path.dirname(path) or "."  # noqa: PTH120  # a text, as in `foreign_link`
    is_shared = os.stat(folder).st_mode & stat.S_IWOTH  # noqa: PTH116
    for suffix in ("", *BESIDE_DATABASE):
        with suppress(FileNotFoundError):
            found = os.lstat(path + suffix)
            if not suffix and not stat.S_ISREG(found.st_mode):
                # Not to be removed: it may be a device.
                raise NotPrivate(path, "it is no plain file", "give the path of one")
            check_file(path + suffix, found, {owner})
            if is_shared and found.st_nlink > 1:
                raise other_names(path + suffix, found)


def foreign_link(path: str) -> str | None:
    """Return the first link on the way to `path` that a stranger put where anybody may write.

    The kernel's rule for such folders (`fs.protected_symlinks`), for systems that have it not, and
    for every part of the path: a link is followed if it belongs to this user or to the owner of
    its folder.
    """
    trusted, here = os.geteuid(), "/"
    parts, links = path.split("/")[::-1], 0
    while parts and links <= MOST_LINKS:
        part = parts.pop()
        step = os.path.normpath(f"{here}/{part}")
        try:
            target = None if part in ("", ".", "..") else os.readlink(step)  # noqa: PTH115
        except OSError:
            target = None
        if target is None:
            here = step
            continue
        folder = os.stat(here)  # noqa: PTH116  # no pathlib where strings are cut
        if folder.st_mode & stat.S_IWOTH and os.lstat(step).st_uid not in (trusted, folder.st_uid):
            return step
        links += 1
        here = "/" if target.startswith("/") else here
        parts.extend(target.split("/")[::-1])
    return None


def user_name(number: int) -> str:
    """Return a user as people call him."""
    import pwd  # noqa: PLC0415  # for an error's sentence only

    with suppress(KeyError):
        return f"{pwd.getpwuid(number).pw_name} (user {number})"
    return f"user {number}"


def stranger(path: str, owner: int, harm: str) -> NotPrivate:
    """Return the error that says whose it is."""
    return NotPrivate(
        path,
        f"it belongs to {user_name(owner)}, {harm}",
        "have it removed, or choose another folder",
    )


def open_to_others(path: str, found: os.stat_result) -> NotPrivate:
    """Return the error that says that others may write to it."""
    mode = stat.S_IMODE(found.st_mode)
    return NotPrivate(path, f"others may write to it (mode {mode:o})", f"chmod 700 {path}")


def other_names(path: str, found: os.stat_result) -> NotPrivate:
    """Return the error that says that it may be another file of ours that somebody has linked."""
    return NotPrivate(
        path,
        f"it has {found.st_nlink} names (hard links), and anybody may make one in its folder",
        "remove the others, or choose another folder",
    )


def no_folder(path: str) -> NotPrivate:
    """Return the error that says that it is something else."""
    return NotPrivate(path, "it is a link or a file, and should be a folder", "remove it")


def no_file(path: str) -> NotPrivate:
    """Return the error that says that it is something else."""
    return NotPrivate(path, "it is a link or no plain file", "remove it")
