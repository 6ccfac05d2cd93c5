"""The floor: the least that a durable queue on SQLite can do, as fast as such a thing gets.

It keeps what nobody can leave out: order by priority and time, a fence, results, claims in batches
and in one transaction with the last batch's outcomes, wake-ups without polling. It has no retries,
leases, rescue, history, timeouts, slots or loops. What a contender takes longer is what those cost.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

BATCH = 256
SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    key INTEGER PRIMARY KEY AUTOINCREMENT, task TEXT NOT NULL,
    queue TEXT NOT NULL DEFAULT 'default', priority INTEGER NOT NULL DEFAULT 0,
    run_at REAL NOT NULL, payload BLOB NOT NULL, running INTEGER NOT NULL DEFAULT 0,
    node INTEGER, attempts INTEGER NOT NULL DEFAULT 0, fence INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS ready ON jobs (priority, run_at, key) WHERE running = 0;
CREATE TABLE IF NOT EXISTS finished (
    key INTEGER PRIMARY KEY, task TEXT NOT NULL, queue TEXT NOT NULL, attempts INTEGER NOT NULL,
    payload BLOB NOT NULL, started_at REAL NOT NULL, ended_at REAL NOT NULL, result BLOB);
"""
ENQUEUE = "INSERT INTO jobs (task, run_at, payload) VALUES (?, ?, ?)"
LAST_KEY = "SELECT seq FROM sqlite_sequence WHERE name = 'jobs'"
CLAIM = """
UPDATE jobs SET running = 1, node = ?, attempts = attempts + 1, fence = fence + 1
WHERE key IN (SELECT key FROM jobs WHERE running = 0 AND run_at <= ?
              ORDER BY priority, run_at, key LIMIT ?)
RETURNING key, fence, task, payload
"""
FINISH = """
INSERT INTO finished SELECT key, task, queue, attempts, payload, ?, ?, ?
FROM jobs WHERE key = ? AND fence = ?
"""
DROP = "DELETE FROM jobs WHERE key = ? AND fence = ?"
RESULT = "SELECT result FROM finished WHERE key = ?"

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder().decode


class Claim(NamedTuple):
    """One job to run."""

    key: int
    fence: int
    task: str
    payload: bytes


class Outcome(NamedTuple):
    """How it ended: the parameters of `FINISH`."""

    started_at: float
    ended_at: float
    result: bytes
    key: int
    fence: int


class Mailbox:
    """A Unix datagram socket; one byte in it means: look again."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def wait(self, timeout: float) -> None:
        """Sleep until there is something in it; one look answers for all that lies there."""
        self._socket.settimeout(timeout)
        with contextlib.suppress(TimeoutError):
            self._socket.recv(1)
        self._socket.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(1)


class Bell:
    """Wakes the mailboxes of one folder: workers of new jobs, producers of results."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._changed = 0
        self._boxes: list[tuple[str, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(0)

    def mailbox(self, role: str) -> Mailbox:
        """Open a mailbox of this process."""
        return Mailbox(self._folder / f"{role}.{os.getpid()}")

    def ring(self, role: str) -> None:
        """Wake whoever has a mailbox of that role; a full one knows already."""
        changed = self._folder.stat().st_mtime_ns
        if changed != self._changed:
            self._boxes = [(path.stem, str(path)) for path in self._folder.iterdir()]
            self._changed = changed
        for owner, path in self._boxes:
            if owner == role:
                with contextlib.suppress(OSError):
                    self._socket.sendto(b"!", path)


class Place:
    """One job in the line to be committed; whoever leads commits for the others."""

    __slots__ = ("key", "leads", "payload", "turn")

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.key = 0
        self.leads = False
        self.turn = threading.Lock()


class Line:
    """Where threads wait for one of them to commit for all; the next leader gathers meanwhile."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._places: list[Place] = []
        self._led = False

    def join(self, payload: bytes) -> Place:
        """Wait until the job is committed, or until it is this thread's turn to lead."""
        place = Place(payload)
        place.turn.acquire()
        with self._mutex:
            self._places.append(place)
            place.leads = not self._led
            self._led = True
        if not place.leads:
            place.turn.acquire()
        return place

    def take(self) -> list[Place]:
        """Take all who wait."""
        with self._mutex:
            batch, self._places = self._places, []
        return batch

    def release(self, batch: Sequence[Place]) -> None:
        """Name the next leader, then let the committed ones go."""
        with self._mutex:
            self._led = bool(self._places)
            heir = self._places[:1]
        for place in heir:
            place.leads = True
        for place in [*heir, *batch]:
            if place.turn.locked():
                place.turn.release()


class Floor:
    """A queue in one file, for one thread; only `share` may be called from many."""

    def __init__(self, path: Path, *, durability: str = "normal") -> None:
        self.path = path
        self._db = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=30, cached_statements=32
        )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {durability}")
        self._db.executescript(SCHEMA)
        self.bell = Bell(path.with_name("mailboxes"))
        self._line = Line()

    def enqueue(self, task: str, args: Sequence[object]) -> int:
        """Keep one job in a commit of its own."""
        row = (task, time.time(), encode(args))
        key = self._db.execute(ENQUEUE, row).lastrowid
        self.bell.ring("worker")
        return key or 0

    def share(self, task: str, args: Sequence[object]) -> int:
        """Keep one job from any thread, in a commit with those of others who call meanwhile."""
        place = self._line.join(encode(args))
        if place.leads:
            batch = self._line.take()
            for other, key in zip(batch, self._insert(task, batch), strict=True):
                other.key = key
            self._line.release(batch)
            self.bell.ring("worker")
        return place.key

    def enqueue_many(self, task: str, calls: Sequence[Sequence[object]]) -> range:
        """Keep many jobs in one commit."""
        keys = self._insert(task, [Place(encode(args)) for args in calls])
        self.bell.ring("worker")
        return keys

    def _insert(self, task: str, places: Sequence[Place]) -> range:
        now = time.time()
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany(ENQUEUE, ((task, now, place.payload) for place in places))
        last: int = self._db.execute(LAST_KEY).fetchone()[0]
        self._db.execute("COMMIT")
        return range(last - len(places) + 1, last + 1)

    def exchange(self, outcomes: Sequence[Outcome], limit: int) -> list[Claim]:
        """Record outcomes and claim what is next, in one transaction."""
        self._db.execute("BEGIN IMMEDIATE")
        if outcomes:
            self._db.executemany(FINISH, outcomes)
            self._db.executemany(DROP, [outcome[3:] for outcome in outcomes])
        rows = self._db.execute(CLAIM, (os.getpid(), time.time(), limit)).fetchall()
        self._db.execute("COMMIT")
        if outcomes:
            self.bell.ring("producer")
        return [Claim(*row) for row in rows]

    def work(self, perform: Callable[[Sequence[Claim]], list[Outcome]]) -> None:
        """Run jobs until killed: batches when there are many, single ones when few."""
        mailbox = self.bell.mailbox("worker")
        outcomes: list[Outcome] = []
        while True:
            claims = self.exchange(outcomes, BATCH)
            outcomes = perform(claims)
            if not claims:
                mailbox.wait(timeout=30)

    def result(self, key: int, mailbox: Mailbox) -> object:
        """Wait for a job's result."""
        while (row := self._db.execute(RESULT, (key,)).fetchone()) is None:
            mailbox.wait(timeout=30)
        return decode(row[0])

    def finished(self) -> int:
        """Count the finished jobs."""
        count: int = self._db.execute("SELECT count(*) FROM finished").fetchone()[0]
        return count


def run(claim: Claim, task: Callable[..., object]) -> Outcome:
    """Run one job."""
    started_at = time.time()
    result = encode(task(*decode(claim.payload)))
    return Outcome(started_at, time.time(), result, claim.key, claim.fence)
