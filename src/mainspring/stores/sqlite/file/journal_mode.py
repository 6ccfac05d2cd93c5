"""The journal mode of a file that was in another one: what changes, or what it costs to keep it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from mainspring.stores.sqlite.file.database import DatabaseFile

OURS = "wal"

CHANGED = (
    "%s was in journal mode %s and is in WAL now, for every program that opens it, so that readers "
    "and the writer do not wait for each other; backups must take the file %s-wal along; "
    "wal=False would have left it"
)
KEPT = (
    "%s stays in journal mode %s, as wal=False asks: each commit waits for readers, and they for "
    "it, and it goes to the disk several times, also with durability='normal'"
)

_told: set[Path] = set()
"""The files of which the log has the price: each is opened by several connections."""


def mode_of(connection: sqlite3.Connection) -> str | None:
    """Return the journal mode of a file that has something in it, None for a new one."""
    ((pages,),) = connection.execute("PRAGMA page_count").fetchall()
    if not pages:
        return None
    ((mode,),) = connection.execute("PRAGMA journal_mode").fetchall()
    return str(mode)


def say_mode(connection: sqlite3.Connection, file: DatabaseFile, before: str | None) -> None:
    """Write a line to the log if the file was in another mode, or is kept in one."""
    if file.keeps_mode:
        ((kept,),) = connection.execute("PRAGMA journal_mode").fetchall()
        if kept != OURS and file.path not in _told:
            _told.add(file.path)
            _warn(KEPT, file.path, kept)
    elif before not in (None, OURS):
        _warn(CHANGED, file.path, before, file.path)


def _warn(text: str, *values: object) -> None:
    import logging  # noqa: PLC0415  # a lazy door: 5 ms of a producer's start

    logging.getLogger("mainspring.stores").warning(text, *values)
