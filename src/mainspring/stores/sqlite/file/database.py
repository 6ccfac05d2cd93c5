"""The database file: how it is made, opened, recognised and watched. Knows nothing of jobs."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

from msgspec import Struct

from mainspring.errors import StoreUnusable
from mainspring.private_files import (
    NotPrivate,
    check_database,
    foreign_link,
    make_private_folder,
    user_name,
)
from mainspring.stores.ownership import keep
from mainspring.stores.sqlite.file import file_system
from mainspring.stores.sqlite.file.trouble import (
    FULL_DISK,
    OUT_OF_FILES,
    OUT_OF_SPACE,
    TOO_MANY_FILES,
    meaning_of,
)

OLDEST_SQLITE = (3, 35, 0)
CACHED_STATEMENTS = 512
WAL_CAP_BYTES = 64 * 1024 * 1024

FIRST_WAIT_SECONDS = 1.0
"""Seconds that the writer waits for a transaction outside mainspring before it collects garbage."""

LONGEST_WAIT_SECONDS = 2_000_000.0
"""SQLite counts a wait in milliseconds of 32 bits; a longer one is none at all."""

WAL_MODE = "PRAGMA journal_mode = WAL"

WRITER_PRAGMAS = (
    # A checkpoint that races a commit can lose it (SQLite before 3.51.3): ours hold the pen.
    "PRAGMA wal_autocheckpoint = 0",
    f"PRAGMA journal_size_limit = {WAL_CAP_BYTES}",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA trusted_schema = OFF",
)
MACOS_PRAGMAS = ("PRAGMA fullfsync = ON", "PRAGMA checkpoint_fullfsync = ON")


as_text = partial(str, encoding="utf-8", errors="backslashreplace")
"""Reader of texts: one that is no UTF-8 (which only somebody else writes) spoils no other row."""


class DatabaseFile(Struct, frozen=True):
    """Path and settings of the database; `busy_timeout` is in seconds.

    `path` has no links in it, so that one file has one log, one set of locks and one run folder.
    """

    path: Path
    full: bool
    busy_timeout: float
    given: str = ""
    """The absolute path as it was given: links may lead from there."""

    auto_migrate: bool = True
    """True if who opens it makes its tables, or brings them to this version."""

    keeps_mode: bool = False
    """True if its journal mode is left as it is."""

    @property
    def wal(self) -> Path:
        """The write-ahead log beside it."""
        return Path(f"{self.path}-wal")

    @property
    def run_dir(self) -> Path:
        """The folder beside it for what lives only as long as processes do."""
        return Path(f"{self.path}.run")

    @property
    def sockets_dir(self) -> Path:
        """The folder in that for the sockets of those who wait for news."""
        return self.run_dir / "wake"

    def prepare(self) -> None:
        """Make file and folders, readable to their owner alone, where they are missing."""
        self._check()
        self.check_links()
        if not self.auto_migrate and not self.path.exists():
            remedy = "make it with queue.migrate(), or: mainspring migrate --app module:queue"
            raise self.unusable("there is no such file, and auto_migrate is off", remedy)
        with suppress(FileExistsError):
            # EXCL: closing a descriptor of a file that SQLite has open here drops SQLite's locks.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        self.check_owner()
        try:
            run = make_private_folder(self.run_dir, owner=self.path.lstat().st_uid)
        except NotPrivate as error:
            raise self.refused(error) from None
        # Listeners do without the inner one, and say so.
        with run, suppress(OSError):
            run.make_folder(self.sockets_dir.name).close()

    def check_links(self) -> None:
        """Refuse a link that a stranger made on the way to the file."""
        link = foreign_link(self.given) if self.given else None
        if link is not None:
            why = f"the link {link} belongs to {user_name(os.lstat(link).st_uid)}"
            raise self.unusable(why, "remove it, or give the path that is meant")

    def check_owner(self) -> None:
        """Refuse a file of a stranger, and files of his beside it that SQLite would use."""
        try:
            check_database(str(self.path))
        except NotPrivate as error:
            raise self.refused(error) from None

    def _check(self) -> None:
        if self.path.is_dir():
            raise self.unusable("it is a folder", "give the path of a file in it")
        if not self.path.parent.is_dir():
            raise self.unusable("its folder does not exist", "make the folder first")
        for needed, named in ((self.path, "it"), (self.path.parent, "its folder")):
            if needed.exists() and not os.access(needed, os.R_OK | os.W_OK):
                if file_system.is_read_only(needed):
                    raise self.unusable(*file_system.READ_ONLY)
                why = f"this user may not both read and write {named}"
                raise self.unusable(why, f"change the owner or the mode of {named}")
        # Its locks and its shared memory are of one machine: two that write damage the file.
        mounts = file_system.mounts()
        there = self.path if self.path.exists() else self.path.parent
        network = file_system.network_under(there, mounts)
        if network is not None:
            raise self.unusable(
                f"it is on a network file system ({network}), where SQLite's locks don't hold",
                "put it on a local disk, or use a PostgreSQL or Redis URL",
            )
        if file_system.is_mounted(self.path, mounts):
            raise self.unusable(
                "it is mounted without its folder, so its log would lie elsewhere and be lost",
                "mount the folder that it is in",
            )

    def identity(self) -> tuple[int, int]:
        """Return what tells this file from another at the same path."""
        try:
            found = os.stat(self.path)  # noqa: PTH116  # once a write: Path.stat costs twice that
        except FileNotFoundError:
            return 0, 0
        return found.st_dev, found.st_ino

    def connect(self, *, cached_statements: int = CACHED_STATEMENTS) -> sqlite3.Connection:
        """Open a connection as it is: it may be another program's file yet."""
        opened: list[sqlite3.Connection] = []
        connect = partial(
            sqlite3.connect,
            uri=True,
            timeout=min(self.busy_timeout, LONGEST_WAIT_SECONDS),
            isolation_level=None,
            check_same_thread=False,
            cached_statements=cached_statements,
        )
        try:
            keep(opened, connect, f"{self.path.as_uri()}?mode=rw")
            opened[0].text_factory = as_text
            return opened[0]
        except BaseException:
            for connection in opened:
                connection.close()
            raise

    @property
    def first_wait(self) -> float:
        """The seconds that a statement waits before something is done about its wait."""
        # Without WAL a commit waits for readers, and once only.
        return self.busy_timeout if self.keeps_mode else min(FIRST_WAIT_SECONDS, self.busy_timeout)

    def wait_at_first(self, connection: sqlite3.Connection) -> None:
        """Have statements of the writer's wait for other transactions that long."""
        wait(connection, self.first_wait)

    def writing_pragmas(self) -> tuple[str, ...]:
        """Return how the writing connection is set up: the file becomes a WAL database."""
        # Less than FULL is safe in WAL mode only: elsewhere a power cut may damage the file.
        full = self.full or self.keeps_mode
        synchronous = f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}"
        on_disk = MACOS_PRAGMAS if sys.platform == "darwin" else ()
        mode = () if self.keeps_mode else (WAL_MODE,)
        return (*mode, *WRITER_PRAGMAS, synchronous, *on_disk)

    def explain(self, error: BaseException | None) -> None:
        """Raise the `StoreError` that says what the error means, if there is one."""
        if isinstance(error, sqlite3.Error):
            meaning = meaning_of(error, self.path, self.busy_timeout)
        elif isinstance(error, NotPrivate):
            meaning = self.refused(error)
        elif isinstance(error, OSError) and error.errno in OUT_OF_FILES:
            meaning = self.unusable(*TOO_MANY_FILES)
        elif isinstance(error, OSError) and error.errno in OUT_OF_SPACE:
            meaning = self.unusable(*FULL_DISK)
        elif isinstance(error, PermissionError):
            named = "it" if error.filename == str(self.path) else str(error.filename)
            why = f"this user may not open {named}"
            meaning = self.unusable(why, "change its owner or its mode")
        else:
            return
        if meaning is not None:
            raise meaning from error

    def refused(self, error: NotPrivate) -> StoreUnusable:
        """Return the error that says what somebody else has made."""
        named = error.why if error.path == str(self.path) else f"{error.path}: {error.why}"
        return self.unusable(named, error.remedy)

    def unusable(self, why: str, remedy: str) -> StoreUnusable:
        """Return the error that says so."""
        return StoreUnusable(str(self.path), why, remedy)


def wait(connection: sqlite3.Connection, seconds: float) -> None:
    """Have statements wait so long for a lock."""
    seconds = min(seconds, LONGEST_WAIT_SECONDS)
    connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}").fetchall()


def close_if_open(connection: sqlite3.Connection | None) -> None:
    """Close a connection that an exception keeps from its owner.

    The exception's traceback keeps it, too: somebody may hold that for long.
    """
    if connection is not None:
        connection.close()


def check_library() -> None:
    """Refuse a SQLite that lacks what the statements need."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise StoreUnusable(
            f"SQLite {sqlite3.sqlite_version}",
            f"mainspring needs {oldest} or newer",
            "install a Python that is linked with a newer one",
        )
