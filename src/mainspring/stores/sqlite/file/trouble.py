"""The meaning of SQLite's errors for the owner of a store, and the remedy for each."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

from mainspring.errors import StoreBusy, StoreError, StoreMigrated, StoreUnusable

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

REMEDIES: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_CANTOPEN: (
        "it can't be opened",
        "check that its folder exists and that this user may write there",
    ),
    sqlite3.SQLITE_CORRUPT: ("the file is damaged", "restore it from a backup"),
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space and try again"),
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
    if code in REMEDIES:
        why, remedy = REMEDIES[code]
        return StoreUnusable(str(path), why, remedy)
    return None


def _tell_once(path: Path, error: StoreMigrated) -> None:
    """Log it, for all the services of a worker that meet it again and again."""
    import logging  # noqa: PLC0415  # a lazy door: 5 ms of a producer's start

    if path not in _told:
        _told.add(path)
        logging.getLogger("mainspring.stores").error("%s", error)
