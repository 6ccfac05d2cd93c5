"""The meaning of SQLite's errors for the owner of a store, and the remedy for each."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from typing import TYPE_CHECKING

from mainspring.errors import StoreBusy, StoreError, StoreMigrated, StoreUnusable
from mainspring.stores.sqlite.file.file_system import READ_ONLY, has_no_room, is_read_only

if TYPE_CHECKING:
    from pathlib import Path

PRIMARY_CODE = 0xFF
"""SQLite's extended result codes keep the primary one in their lowest byte."""

BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

NOT_THERE = re.compile(r"no such (table|index): (\w+\.)?mainspring_")

MIGRATED = (
    "a newer mainspring has migrated its tables, or they were dropped",
    "restart this program with the newer version",
)

_told: set[Path] = set()
"""The files of which the log has that their tables are not there any more."""

OUTSIDE = (
    "a transaction outside mainspring; if it is this program's own, "
    "enqueue in it with using(conn=conn)"
)

OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE})

OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})

FULL_DISK = ("the disk is full", "free some space and try again")
"""The fault of a disk or a quota that has no room, for a new file either, and the remedy."""

FILES_OF_A_CONNECTION = 4
"""The database, its log, its shared memory, and the folder."""

TOO_MANY_FILES = (
    "this process has too many files open",
    "raise its limit (ulimit -n), or close what it leaves open",
)

REMEDIES: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_CANTOPEN: (
        "it can't be opened",
        "check that its folder exists and that this user may write there",
    ),
    sqlite3.SQLITE_CORRUPT: ("the file is damaged", "restore it from a backup"),
    sqlite3.SQLITE_FULL: FULL_DISK,
    sqlite3.SQLITE_IOERR: ("reading or writing it failed", "check the disk and try again"),
    sqlite3.SQLITE_NOTADB: ("it is not a SQLite database", "give the path of another file"),
    sqlite3.SQLITE_PERM: ("this user may not open it", "change its owner or its mode"),
    sqlite3.SQLITE_READONLY: (
        "it is read-only",
        "make the file and its folder writable for this user",
    ),
}


def code_of(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code, 0 if the error is not SQLite's own."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & PRIMARY_CODE


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether it met a lock of somebody else's."""
    return code_of(error) in BUSY


def meaning_of(error: sqlite3.Error, path: Path, waited: float) -> StoreError | None:
    """Return the error to raise instead, or None for one that is a fault of ours."""
    code = code_of(error)
    if NOT_THERE.match(str(error)):
        migrated = StoreMigrated(str(path), *MIGRATED)
        _tell_once(path, migrated)
        return migrated
    if is_busy(error):
        return StoreBusy(str(path), waited, OUTSIDE)
    fault = fault_of(code, path)
    return None if fault is None else StoreUnusable(str(path), *fault)


def fault_of(code: int, path: Path) -> tuple[str, str] | None:
    """Return what a code of SQLite's stands for here, and the remedy."""
    if code == sqlite3.SQLITE_CANTOPEN and is_out_of_files():
        return TOO_MANY_FILES
    if code == sqlite3.SQLITE_READONLY and is_read_only(path):
        return READ_ONLY
    if code == sqlite3.SQLITE_IOERR and has_no_room(path):
        return FULL_DISK
    return REMEDIES.get(code)


def is_out_of_files() -> bool:
    """Return whether this process can't open what SQLite needs, which that does not say."""
    opened: list[int] = []
    try:
        opened.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(FILES_OF_A_CONNECTION))
    except OSError as error:
        return error.errno in OUT_OF_FILES
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return False


def _tell_once(path: Path, error: StoreMigrated) -> None:
    """Log it, for all the services of a worker that meet it again and again."""
    import logging  # noqa: PLC0415  # a lazy door: 5 ms of a producer's start

    if path not in _told:
        _told.add(path)
        logging.getLogger("mainspring.stores").error("%s", error)
