"""The connections and sockets that one process has open for one database.

SQLite counts locks by process and keeps the count in memory, so a connection that crosses a fork
makes parent and child each believe in locks of the other. Nothing of ours crosses: before a fork
all is closed, after it each side opens again on first use, and the child starts a new session.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from mainspring.errors import StoreError, StoreUnusable
from mainspring.stores.sqlite.connections.readers import Readers
from mainspring.stores.sqlite.connections.writer import Writer
from mainspring.stores.sqlite.file.commit_look import CommitLook
from mainspring.stores.sqlite.file.reserve import Reserve, is_full
from mainspring.stores.sqlite.intake.groups import Intake
from mainspring.stores.sqlite.rows.lanes import LaneTable
from mainspring.stores.wake.socket_folder import SocketFolder, socket_folder
from mainspring.stores.wake.socket_notifier import SocketNotifier
from mainspring.stores.wake.topics import LOCKS, ORDERS, READY

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Sequence

    from mainspring.model.job import NewJob
    from mainspring.protocols import Listener
    from mainspring.stores.clock import Clock
    from mainspring.stores.sqlite.file.database import DatabaseFile

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds that a fork waits for transactions of other threads."""


class Session:
    """Writer, readers, intake and notifier of one process."""

    def __init__(self, file: DatabaseFile, clock: Clock) -> None:
        self._file = file
        self.writer = Writer(file)
        self.readers = Readers(file, self.writer.ready)
        self._lanes = LaneTable(self.writer, self.readers)
        self.lanes = self._lanes.known
        self.numbers = self._lanes.numbers
        self.as_seen_by = self._lanes.as_seen_by
        self.intake = Intake(self.writer, self._lanes, clock, notify=self.notify)
        self.reserve = Reserve(file.run_dir)
        self._notifiers: dict[int, SocketNotifier] = {}
        self._expects_work = False

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `work` reads by a connection."""
        self.writer.look_at_file()
        with self.readers.lend() as connection:
            return work(connection)

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `work` does in a transaction."""
        with self.writer as connection:
            return work(connection)

    def enqueue(self, jobs: Sequence[NewJob]) -> list[str]:
        """Keep jobs, together with those of other threads, and return their ids."""
        return self.intake.enqueue(jobs)

    def notify(self, *topics: str, keys: Collection[int] = ()) -> None:
        """Wake the listeners of the topics; their fallback poll wakes them if we can't.

        `keys` are those of the jobs it is about; none: any.
        """
        for topic in topics:
            try:  # (`suppress` costs an enqueuing as much as its signature's check)
                notifier = self._notifiers.get(0) or self._open_notifier()
                notifier.notify(topic, keys)
            except OSError:
                continue

    def listen(self, topic: str) -> Listener:
        """Listen for a topic, with a poll for commits as the fallback; none for orders and locks.

        Those come seldom, and who waits for them asks for them now and then.
        """
        from mainspring.stores.wake.socket_listener import (  # noqa: PLC0415  # a lazy door
            SocketListener,
        )

        if topic in (ORDERS, LOCKS):
            self.writer.ready()  # which makes the folder
            return SocketListener(self._place(), topic, changed=None)
        log = str(self._file.wal)
        look = CommitLook(log, self.readers.data_version)
        notified = self._expect_work if topic == READY else None
        return SocketListener(
            self._place(), topic, changed=look.changed, watched=log, notified=notified
        )

    def take_notice(self) -> bool:
        """Return whether a datagram came for new work since the last call."""
        expected, self._expects_work = self._expects_work, False
        return expected

    def _expect_work(self) -> None:
        self._expects_work = True

    def delete(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a transaction that deletes; on a full disk, with the space that is kept for it."""
        try:
            return self.write(work)
        except StoreUnusable as error:
            if not is_full(error.__cause__):
                raise
        self.reserve.release()
        self._fold()
        done = self.write(work)
        # What it wrote to the log is room for the next one then.
        self._fold()
        return done

    def _fold(self) -> None:
        with suppress(StoreError):
            self.writer.fold_log()

    def close(self) -> None:
        """Close files and connections; the next use opens them again."""
        self.readers.close()
        self.writer.close()
        notifier = self._notifiers.pop(0, None)
        if notifier is not None:
            notifier.close()

    def recover(self) -> None:
        """Undo what a call of this thread has left that an exception has ended."""
        self.writer.recover()
        self.readers.recover()

    def suspend(self) -> None:
        """Close all and let nothing open it, until `resume`."""
        self.writer.suspend(PATIENCE)
        self.readers.suspend(PATIENCE)

    def resume(self) -> None:
        """End a suspension, also one that was not complete."""
        self.writer.resume()
        self.readers.resume()

    def _open_notifier(self) -> SocketNotifier:
        opened = SocketNotifier(self._place())
        # A step that nothing interrupts: of two that threads have opened at once, one stays.
        notifier = self._notifiers.setdefault(0, opened)
        if notifier is not opened:
            opened.close()
        return notifier

    def _place(self) -> SocketFolder:
        device, inode = self._file.identity()
        return socket_folder(self._file.sockets_dir, name=f"{device:x}-{inode:x}")
