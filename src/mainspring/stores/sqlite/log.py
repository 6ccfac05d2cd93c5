"""The write-ahead log: when it is folded back into the database.

Only the holder of the pen checkpoints: before SQLite 3.51.3, a checkpoint that races a commit can
lose it.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.stores.sqlite.database import DatabaseFile

FOLD_BYTES = 8 * 1024 * 1024
"""How far the log grows: larger ones are slower to read, and hold writers up for longer."""

LOOK_EVERY = 32
"""Commits between two looks at its size."""

FOLD = "PRAGMA wal_checkpoint(TRUNCATE)"


class Log:
    """Keeps the log short. Used under the writer's lock only."""

    def __init__(self, file: DatabaseFile) -> None:
        self._file = file
        self._commits = 0
        self._fold_at_bytes = FOLD_BYTES

    def committed(self, connection: sqlite3.Connection) -> None:
        """Count a commit; fold the log when it has become long."""
        self._commits += 1
        if self._commits % LOOK_EVERY == 0 and self._size_bytes() > self._fold_at_bytes:
            # What was committed stays in the log if this fails, so the commit has not failed.
            with suppress(sqlite3.Error):
                self.fold(connection)
            # A reader can keep the log long: then wait for as much again before the next try.
            self._fold_at_bytes = self._size_bytes() + FOLD_BYTES

    def fold(self, connection: sqlite3.Connection) -> None:
        """Checkpoint as far as readers allow, without waiting for them: writers wait for us."""
        connection.execute("PRAGMA busy_timeout = 0").fetchall()
        try:
            connection.execute(FOLD).fetchall()
        finally:
            milliseconds = int(self._file.busy_timeout * 1000)
            connection.execute(f"PRAGMA busy_timeout = {milliseconds}").fetchall()

    def _size_bytes(self) -> int:
        try:
            return os.stat(self._file.wal).st_size  # noqa: PTH116  # Path.stat costs twice that
        except FileNotFoundError:
            return 0
