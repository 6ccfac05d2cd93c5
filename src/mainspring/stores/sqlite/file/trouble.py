"""The meaning of SQLite's errors for the owner of a store, and the remedy for each."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

from mainspring.errors import StoreBusy, StoreError, StoreUnusable

if TYPE_CHECKING:
    from pathlib import Path

PRIMARY_CODE = 0xFF
"""SQLite's extended result codes keep the primary one in their lowest byte."""

BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

NOT_THERE = re.compile(r"no such (table|index): (\w+\.)?mainspring_")
MIGRATED = (
    "its tables were dropped, or a newer mainspring has migrated it",
    "restart this program with the newer version",
)

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


def meaning_of(error: sqlite3.Error, path: Path, waited: float) -> StoreError | None:
    """Return the error to raise instead, or None for one that is a fault of ours."""
    code = code_of(error)
    if NOT_THERE.match(str(error)):
        return StoreUnusable(str(path), *MIGRATED)
    if code in BUSY:
        return StoreBusy(str(path), waited, OUTSIDE)
    if code in REMEDIES:
        why, remedy = REMEDIES[code]
        return StoreUnusable(str(path), why, remedy)
    return None
