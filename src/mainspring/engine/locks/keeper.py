"""The keeper of this process's locks: a thread that asks the store for them and renews their lease.

Locks are held by a node. The process joins as one with its first request, and leaves when it has
wanted none for a while. While it waits it looks for lost nodes as workers do, since these may hold
what it waits for. A second thread watches the lease, as the first may hang in a store that does not
answer.
"""

from __future__ import annotations

import atexit
import os
import random
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec.json import encode

from mainspring.clock import monotonic, utc_now
from mainspring.engine.claims.exchange_worker import StoreSleeper
from mainspring.engine.locks.line import LockLines
from mainspring.engine.locks.membership import Membership
from mainspring.errors import LeaseLost, NotRunning, StoreError, StoreUnreachable, StoreUnusable
from mainspring.stores.ownership import Signal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mainspring.engine.locks.request import LockRequest
    from mainspring.protocols import JobStore

LOOK_SECONDS = 1.0
"""Longest time between two looks for lost nodes and for free locks, while somebody waits."""

REST_SECONDS = 0.5
"""Seconds until the store is asked again after an error."""

LINGER_SECONDS = 60.0
"""Seconds without a request after which the process leaves: a row stays of every node."""

CLOSE_SECONDS = 5.0
"""Longest wait for the thread at the end."""


CLOSED = "the queue was closed while a lock was waited for; close it last"


class LockKeeper:
    """Keeps the locks of one process in one store. Thread-safe, and made anew after a fork.

    `lease` and `heartbeat` in seconds.
    """

    def __init__(self, store: JobStore, *, lease: float, heartbeat: float) -> None:
        self._store = store
        self.lease = lease
        self._heartbeat = heartbeat
        self._begin_anew()
        _instances.add(self)

    def _begin_anew(self) -> None:
        # Reentrant, since a signal handler may ask while its own thread is in here.
        self._lock = threading.RLock()
        self._lines = LockLines()
        self._node = Membership(
            self._store, self._report, lease=self.lease, heartbeat=self._heartbeat
        )
        self._thread: threading.Thread | None = None
        self._closing = False
        self._look_at = self._idle_since = 0.0
        self._begin_life()

    def _begin_life(self) -> None:
        self._sleeper = StoreSleeper(lambda: self._store.listen("locks"), self._ask_for_all)
        self._watched = Signal()
        self._over = False

    def abandon(self) -> None:
        """Begin anew in a forked child: the locks, the node and the threads are the parent's."""
        lines = self._lines
        self._begin_anew()
        lines.lose()

    def request(self, request: LockRequest) -> None:
        """Ask for a lock, until `end`."""
        with self._lock:
            self._lines.add(request)
            if self._thread is None:
                self._start()
        self._sleeper.wake()

    def end(self, request: LockRequest) -> None:
        """Want a lock no more; `request.freed` is done when the store knows. From any thread."""
        with self._lock:
            self._lines.end(request)
        self._sleeper.wake()

    def is_owned_by(self, name: str, owner: object) -> bool:
        """Return whether that owner has the lock already, and would wait for itself."""
        with self._lock:
            return self._lines.is_owned_by(name, owner)

    def lapsed(self) -> bool:
        """Return whether the lease of what is held has run out, though nobody knows yet."""
        return self._node.lapsed()

    def close(self) -> None:
        """Lose what is held, refuse what waits, and leave the store; the next request begins anew.

        It waits for that, but not long for a store that does not answer.
        """
        with self._lock:
            thread = self._thread
            self._closing = thread is not None
        if thread is not None and thread is not threading.current_thread():
            self._sleeper.wake()
            thread.join(CLOSE_SECONDS)

    def _start(self) -> None:
        self._begin_life()
        self._thread = threading.Thread(target=self._run, name="mainspring-locks", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        watch = threading.Thread(target=self._watch, name="mainspring-lock-lease", daemon=True)
        watch.start()
        try:
            while self._goes_on():
                self._turn()
        finally:
            self._over = True
            self._watched.give()
            watch.join()
            self._sleeper.close()
            self._end_of_life()

    def _goes_on(self) -> bool:
        with self._lock:
            if not self._lines.idle:
                self._idle_since = monotonic()
            return not self._closing and (self._needed or self._node.joined)

    @property
    def _needed(self) -> bool:
        return monotonic() - self._idle_since < LINGER_SECONDS

    def _end_of_life(self) -> None:
        """Leave, and nobody waiting for what nobody does; who came meanwhile is served anew."""
        with suppress(StoreError):
            self._node.attend(needed=False)
        with self._lock:
            changed: list[LockRequest] = []
            if self._closing or self._needed:
                changed = self._lines.lose() + self._lines.refuse(NotRunning(CLOSED))
            self._thread, self._closing = None, False
            if not self._lines.idle:
                self._start()
        _notify(changed)

    def _turn(self) -> None:
        """Do all that is due, and sleep."""
        try:
            self._tend()
            self._sleeper.sleep(self._pause())
        except StoreError as error:
            if isinstance(error, StoreUnusable) and not isinstance(error, StoreUnreachable):
                self._refuse(error)
            # Not on the sleeper, which may be what failed.
            Signal().wait(REST_SECONDS)

    def _tend(self) -> None:
        if self._node.lapsed():
            self._lose()
        if not self._node.attend(needed=self._needed):
            self._lose()
        while (request := self._next_to_release()) is not None:
            self._release(request)
        while (name := self._next_to_ask()) is not None:
            self._ask(name)
        if self._node.holds and self._lines.waiting and monotonic() >= self._look_at:
            self._look()

    def _next_to_release(self) -> LockRequest | None:
        with self._lock:
            return next(iter(self._lines.to_release), None) if self._node.holds else None

    def _next_to_ask(self) -> str | None:
        with self._lock:
            return next(iter(self._lines.to_ask), None) if self._node.holds else None

    def _pause(self) -> float:
        """Return the seconds until something is due."""
        due = self._node.renew_at if self._needed else 0.0
        if self._lines.waiting:
            due = min(due, self._look_at)
        elif self._lines.idle:
            due = min(due, self._idle_since + LINGER_SECONDS)
        return max(0.0, due - monotonic()) if self._node.holds and not self._lines.busy else 0.0

    def _release(self, request: LockRequest) -> None:
        self._store.release(self._node.key, request.name, request.fence)
        with self._lock:
            self._lines.released(request)

    def _ask(self, name: str) -> None:
        try:
            fence = self._acquire(name) if self._begins_to_ask(name) else None
        except LeaseLost:
            self._lose()
            return
        with self._lock:
            # What a lost node was given, it gives back as it leaves.
            changed = self._lines.answered(name, fence) if self._node.holds else []
        if fence is not None:
            self._node.report_soon()
        _notify(changed)

    def _report(self) -> bytes:
        with self._lock:
            held = {name: request.since for name, request in self._lines.held.items()}
        return encode({"locks": held, "at": utc_now().isoformat()})

    def _acquire(self, name: str) -> int | None:
        """Ask the store; once more where nobody holds the lock, since the lease may have run out.

        By the store's clock, which may have jumped, or was moved by a test.
        """
        fence = self._store.acquire(self._node.key, name)
        if fence is not None or any(lock.name == name for lock in self._store.locks()):
            return fence
        if not self._node.renew():
            raise LeaseLost(str(self._node.key))
        return self._store.acquire(self._node.key, name)

    def _begins_to_ask(self, name: str) -> bool:
        with self._lock:
            return self._lines.begins_to_ask(name)

    def _look(self) -> None:
        self._look_at = monotonic() + LOOK_SECONDS * random.uniform(0.5, 1.0)
        self._node.look()
        held = {lock.name for lock in self._store.locks() if lock.node != self._node.key}
        with self._lock:
            self._lines.ask_unless(held)
        if self._lines.to_ask:
            self._sleeper.wake()

    def _ask_for_all(self) -> None:
        with self._lock:
            self._lines.ask_unless(())

    def _lose(self) -> None:
        with self._lock:
            self._node.lost = True
            changed = self._lines.lose()
        _notify(changed)

    def _refuse(self, error: StoreError) -> None:
        with self._lock:
            changed = self._lines.refuse(error)
        _notify(changed)

    def _watch(self) -> None:
        """Lose all when the lease has run out, whatever the other thread waits for."""
        while not self._over:
            left = self._node.until - monotonic() if self._node.holds else self.lease
            if left <= 0:
                self._lose()
            self._watched.wait(max(left, 0.0))


def _notify(requests: Iterable[LockRequest]) -> None:
    for request in requests:
        request.on_change(request)


_instances: weakref.WeakSet[LockKeeper] = weakref.WeakSet()


def _abandon_all() -> None:
    for keeper in list(_instances):
        keeper.abandon()


def _close_all() -> None:
    """Leave the stores at the end of the process, or others wait for its leases to run out."""
    for keeper in list(_instances):
        keeper.close()


os.register_at_fork(after_in_child=_abandon_all)
atexit.register(_close_all)
