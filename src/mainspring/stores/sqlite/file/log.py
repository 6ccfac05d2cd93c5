"""The write-ahead log: when it is folded back into the database.

Only the holder of the pen folds: before SQLite 3.51.3, a checkpoint that races a commit can lose
it. The file keeps its length, since a commit that has to lengthen it takes twice as long to reach
the disk; so its fill is known by the salt, which a log that begins anew changes
(https://www.sqlite.org/fileformat2.html#the_write_ahead_log).
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.stores.sqlite.file.database import wait

if TYPE_CHECKING:
    from pathlib import Path

    from mainspring.stores.sqlite.file.database import DatabaseFile

FOLD_BYTES = 16 * 1024 * 1024
"""Length to which the log grows: folding holds writers up for 5 ms, and a longer log reads slower.
With 4 MiB it met one round trip of a job in a hundred."""

FULL_FOLD_BYTES = 4 * 1024 * 1024
"""The same where each commit waits for the disk: there it counts more that the log, which takes
twice as long to reach the disk while it lengthens, soon keeps its length."""

PATIENT_BYTES = 32 * 1024 * 1024
"""Length from which a fold waits for readers: before, it makes nobody wait."""

PATIENCE_SECONDS = 0.1
"""Seconds that it waits then, and all writers for it: longer than most reads."""

LOOK_EVERY = 32
"""Commits between two looks at its fill."""

FOLD = "PRAGMA wal_checkpoint(RESTART)"

HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
SALT_IN_HEADER = slice(16, 24)
SALT_IN_FRAME = slice(8, 16)
PAGE_SIZE_IN_HEADER = slice(8, 12)


class Log:
    """Keeps the log short. Used under the writer's lock, but for `is_long` and `is_full`."""

    def __init__(self, file: DatabaseFile) -> None:
        self._file = file
        self._commits = 0
        self._fold_bytes = FULL_FOLD_BYTES if file.full else FOLD_BYTES
        self._fold_at_bytes = self._fold_bytes

    def committed(self, connection: sqlite3.Connection) -> None:
        """Count a commit; fold the log when it has become long."""
        self._commits += 1
        if self._commits % LOOK_EVERY == 0:
            # What was committed stays in the log if this fails, so the commit has not failed.
            with suppress(sqlite3.Error, OSError):
                if self.is_long():
                    self.fold(connection)

    def is_long(self) -> bool:
        """Return whether it is to be folded, without a lock: another may fold it meanwhile."""
        return reaches(self._file.wal, self._fold_at_bytes)

    def is_full(self) -> bool:
        """Return whether it should have been folded by now. Needs no lock, as above."""
        return reaches(self._file.wal, self._fold_bytes)

    def fold(self, connection: sqlite3.Connection) -> None:
        """Checkpoint as far as readers allow; wait for them if they have kept a long log.

        They come and go, and there may always be one. Who comes during a wait does not use the log.
        """
        patience = PATIENCE_SECONDS if reaches(self._file.wal, PATIENT_BYTES) else 0.0
        wait(connection, patience)
        try:
            ((busy, _, _),) = connection.execute(FOLD).fetchall()
        finally:
            self._file.wait_at_first(connection)
        # A reader can keep the log: then it grows by as much again before the next try.
        self._fold_at_bytes = self._fold_bytes + (self._fold_at_bytes if busy else 0)


def reaches(wal: Path, size_bytes: int) -> bool:
    """Return whether the log in use is at least so long; the file may be longer."""
    try:
        descriptor = os.open(wal, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        header = os.pread(descriptor, HEADER_BYTES, 0)
        page_bytes = int.from_bytes(header[PAGE_SIZE_IN_HEADER], "big") + FRAME_HEADER_BYTES
        at_bytes = HEADER_BYTES + size_bytes // page_bytes * page_bytes
        frame = os.pread(descriptor, FRAME_HEADER_BYTES, at_bytes)
    finally:
        os.close(descriptor)
    return len(frame) == FRAME_HEADER_BYTES and frame[SALT_IN_FRAME] == header[SALT_IN_HEADER]
