"""The kind of file system that a path lies on, as far as this machine tells. Knows no database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MOUNTS = Path("/proc/self/mountinfo")
"""Linux tells there, a line a mount: id, parent, device, …, `-`, kind, source, options."""

NETWORK = frozenset(
    {
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.ceph",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
    }
)
"""File systems that other machines may write to at the same time, without our knowing."""


READ_ONLY = (
    "its file system is mounted read-only",
    "mount it for writing, or give a path on another one",
)
"""The fault of a place where nobody may write, and the remedy."""


SHARED_MEMORY_BYTES = 32_768
"""The least that SQLite allocates of a file beside the database."""


def is_read_only(path: Path) -> bool:
    """Return whether nobody may write there, whatever the modes say."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def has_no_room(path: Path) -> bool:
    """Return whether the disk has no room for SQLite's shared memory: an I/O error, as it says."""
    try:
        disk = os.statvfs(path)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < SHARED_MEMORY_BYTES


def mounts() -> list[str]:
    """Return what is mounted, a line each; nothing where the machine does not tell."""
    try:
        return MOUNTS.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []


def network_under(path: Path, lines: Sequence[str]) -> str | None:
    """Return the kind of network file system that holds the path; None: a disk, or not known."""
    kind = kind_under(path, lines)
    return kind if kind in NETWORK else None


def is_mounted(path: Path, lines: Sequence[str]) -> bool:
    """Return whether something is mounted at exactly this path, as far as this machine knows."""
    escaped = str(path)
    for character in "\\ \t\n":
        escaped = escaped.replace(character, f"\\{ord(character):03o}")
    return any(line.split()[4] == escaped for line in lines if escaped in line)


def kind_under(path: Path, lines: Sequence[str]) -> str | None:
    """Return the kind of file system that holds the path, if this machine tells."""
    try:
        device = os.stat(path).st_dev  # noqa: PTH116  # one flavour of path with major and minor
    except OSError:
        return None
    number = f"{os.major(device)}:{os.minor(device)}"
    for fields in (line.split() for line in lines if number in line):
        if fields[2] == number and "-" in fields:
            return fields[fields.index("-") + 1]
    return None
