"""The examination of a database: file, disk, library, schema, log, locks and clock. Only looks."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

from mainspring.errors import StoreError, StoreUnusable
from mainspring.model.diagnosis import Diagnosis
from mainspring.stores.clock import MICROS
from mainspring.stores.sqlite.file.database import WAL_CAP_BYTES
from mainspring.stores.sqlite.file.file_system import (
    READ_ONLY,
    is_read_only,
    mounts,
    network_under,
)
from mainspring.stores.sqlite.file.write_lock import WriteLock
from mainspring.stores.sqlite.schema.migration import OBJECTS, PREFIXED, VERSION, version_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainspring.stores.sqlite.file.database import DatabaseFile

PATIENCE = 2.0
"""Seconds that the lock of another writer is waited for."""

SLACK_MICROS = 5 * MICROS
LEAST_FREE_BYTES = 256 * 1024 * 1024
PRIVATE = stat.S_IRUSR | stat.S_IWUSR

RESET_BUG_MENDED = (3, 51, 3)
BACKPORTS = {(3, 44): 6, (3, 50): 7}
"""The WAL-reset bug's other ends, by branch: https://sqlite.org/wal.html#walresetbug."""

NEWEST = """
SELECT max(
  CAST(coalesce((SELECT created_at FROM mainspring_jobs ORDER BY key DESC LIMIT 1), 0) AS INTEGER),
  CAST(coalesce((SELECT max(CAST(joined_at AS INTEGER)) FROM mainspring_nodes), 0) AS INTEGER)
)
"""


def examine(file: DatabaseFile, now_micros: int) -> Iterator[Diagnosis]:
    """Yield what is found, most basic first; no more once the file can't be read."""
    try:
        yield from _of_the_file(file)
        with closing(sqlite3.connect(f"{file.path.as_uri()}?mode=ro", uri=True)) as connection:
            version = version_of(connection, file.path)
            schema = _schema(version, *connection.execute(OBJECTS).fetchone())
            if schema.level == "problem":
                # Nobody should change the mode of another program's file for us.
                yield schema
                return
            yield from _privacy(file)
            yield schema
            integrity = _integrity(connection)
            yield integrity
            if integrity.level == "problem" or not version:
                return
            if version >= PREFIXED:  # or else the tables have other names
                yield _clock(connection, now_micros)
    except (sqlite3.Error, OSError, StoreUnusable) as error:
        yield _unusable(file, error)
        return
    yield _library()
    yield _log(file)
    yield _lock(file)


def _of_the_file(file: DatabaseFile) -> Iterator[Diagnosis]:
    if file.path.is_dir():
        raise file.unusable("it is a folder", "give the path of a file in it")
    file.check_links()
    file.check_owner()
    yield Diagnosis("file", "ok", f"{file.path}, {file.path.stat().st_size / 1e6:,.1f} MB")
    disk = os.statvfs(file.path.parent)
    free = disk.f_bavail * disk.f_frsize
    says = f"{free / 1e9:,.1f} GB are free"
    if free < LEAST_FREE_BYTES:
        yield Diagnosis("disk", "problem", says, "free some space: a full disk refuses jobs")
    else:
        yield Diagnosis("disk", "ok", says)
    network = network_under(file.path.parent, mounts())
    if network is not None:
        says = f"it lies on a network file system ({network}), where SQLite's locks don't hold"
        yield Diagnosis("place", "problem", says, "move it to a local disk")
    if is_read_only(file.path):
        yield Diagnosis("rights", "problem", f"{file.path}: {READ_ONLY[0]}", READ_ONLY[1])
    elif not os.access(file.path, os.W_OK) or not os.access(file.path.parent, os.W_OK):
        says = f"{file.path} or its folder is not writable for this user"
        yield Diagnosis("rights", "problem", says, "run as the file's owner, or change its mode")


def _privacy(file: DatabaseFile) -> Iterator[Diagnosis]:
    found, folder = file.path.stat(), file.path.parent
    mode = stat.S_IMODE(found.st_mode)
    if mode & ~PRIVATE:
        says = f"{file.path} has the mode {mode:o}: others may read the jobs"
        yield Diagnosis("privacy", "warning", says, f"chmod 600 {file.path}")
    if folder.stat().st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
        says = f"everybody may write to {folder}, and so delete or replace the file"
        yield Diagnosis("privacy", "warning", says, f"chmod o-w {folder}")
    if found.st_nlink > 1:
        says = f"the file has {found.st_nlink} names: under each SQLite keeps another log"
        yield Diagnosis("names", "warning", says, "remove the other names (hard links)")


def _unusable(file: DatabaseFile, error: Exception) -> Diagnosis:
    try:
        file.explain(error)
    except StoreUnusable as meaning:
        error = meaning
    except StoreError as meaning:
        return Diagnosis("file", "problem", str(meaning), "try again later")
    if isinstance(error, StoreUnusable):
        return Diagnosis("file", "problem", f"{error.store}: {error.why}", error.remedy)
    return Diagnosis("file", "problem", str(error), "see to that first")


def _schema(version: int, objects: int) -> Diagnosis:
    if version == VERSION:
        return Diagnosis("schema", "ok", f"version {version}")
    if objects and not version:
        # A problem, or else who looks on would add them, perhaps to the wrong file.
        says = "it is another program's database, without tables of mainspring"
        remedy = "check the path; mainspring migrate, a worker or an enqueuing adds them"
        return Diagnosis("schema", "problem", says, remedy)
    says = f"version {version}; this mainspring writes {VERSION}"
    return Diagnosis("schema", "warning", says, "the next worker or enqueuing migrates it")


def _integrity(connection: sqlite3.Connection) -> Diagnosis:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found == "ok":
        return Diagnosis("integrity", "ok", "SQLite's quick check finds nothing")
    says = " ".join(str(found).split())
    return Diagnosis("integrity", "problem", says, "restore the file from a backup")


def _clock(connection: sqlite3.Connection, now_micros: int) -> Diagnosis:
    (newest,) = connection.execute(NEWEST).fetchone()
    if newest <= now_micros + SLACK_MICROS:
        return Diagnosis("clock", "ok", "it is later than all that was written")
    ahead = (newest - now_micros) / MICROS
    says = f"the newest row was written {ahead:,.0f} s from now: the clock was set back"
    return Diagnosis("clock", "warning", says, "check the time service; delayed jobs wait longer")


def _library() -> Diagnosis:
    version = sqlite3.sqlite_version_info
    says = f"SQLite {sqlite3.sqlite_version}"
    patch = BACKPORTS.get(version[:2])
    if version >= RESET_BUG_MENDED or (patch is not None and version[2] >= patch):
        return Diagnosis("library", "ok", says)
    # Well, as long as only we write: most systems have such a version, and nobody need act.
    says += (
        " (it has the WAL-reset bug, which mainspring's own writing does not meet; other programs"
        " that write this file must set wal_autocheckpoint = 0, or use 3.51.3)"
    )
    return Diagnosis("library", "ok", says)


def _log(file: DatabaseFile) -> Diagnosis:
    size = file.wal.stat().st_size if file.wal.exists() else 0
    if size <= WAL_CAP_BYTES:
        return Diagnosis("log", "ok", f"the write-ahead log has {size / 1e6:,.1f} MB")
    says = f"the write-ahead log has grown to {size / 1e6:,.0f} MB"
    return Diagnosis("log", "warning", says, "end the program that keeps a read transaction open")


def _lock(file: DatabaseFile) -> Diagnosis:
    try:
        file.prepare()
        write_lock = WriteLock(file.run_dir)
    except (StoreUnusable, OSError) as error:
        return _unusable(file, error)
    try:
        if not write_lock.acquire(PATIENCE):
            says = f"{write_lock.holder()} has held the write lock for {PATIENCE:g} s"
            return Diagnosis("lock", "problem", says, "end that process if it is stuck")
        try:
            return _foreign_lock(file)
        finally:
            write_lock.release()
    finally:
        write_lock.close()


def _foreign_lock(file: DatabaseFile) -> Diagnosis:
    with closing(sqlite3.connect(file.path, timeout=PATIENCE, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            says = f"a program outside mainspring holds the write lock ({error})"
            return Diagnosis("lock", "problem", says, "end its transaction")
        connection.execute("ROLLBACK")
    return Diagnosis("lock", "ok", "the write lock is free")
