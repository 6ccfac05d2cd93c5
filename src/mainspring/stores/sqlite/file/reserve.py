"""Space that is kept for a full disk: a delete has to be written, too."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.private_files import PrivateFolder, allocate
from mainspring.stores.sqlite.file.trouble import code_of

if TYPE_CHECKING:
    from pathlib import Path

NAME = "reserve"
RESERVE_BYTES = 2 * 1024 * 1024
"""Room for the log of a purge or a cancel of some hundred jobs."""

LEAST_FREE_BYTES = 16 * RESERVE_BYTES
"""With less on the disk none is taken: jobs need the space now."""

FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
"""SQLite's codes for a full disk; the second is for its shared memory, or a limit of a file."""


class Reserve:
    """An allocated file in the run folder, given up so that a delete can be committed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = str(folder / NAME)

    def take(self) -> None:
        """Reserve the space, unless it is reserved or the disk is nearly full."""
        with suppress(OSError):
            if os.path.lexists(self._path):
                return
            disk = os.statvfs(self._folder)
            if disk.f_bavail * disk.f_frsize >= LEAST_FREE_BYTES:
                self._allocate()

    def release(self) -> None:
        """Release the space."""
        with suppress(OSError), PrivateFolder(self._folder) as folder:
            folder.remove(NAME)

    def _allocate(self) -> None:
        with PrivateFolder(self._folder) as folder:
            descriptor = folder.create(NAME)
            try:
                allocate(descriptor, RESERVE_BYTES)
            except BaseException:
                folder.remove(NAME)
                raise
            finally:
                os.close(descriptor)


def is_full(error: BaseException | None) -> bool:
    """Return whether an error of SQLite's may come of a full disk."""
    return isinstance(error, sqlite3.Error) and code_of(error) in FULL
