"""Waiting for jobs to end, without polling.

Of the threads that wait, one listens to the store and tells all others what it learned; when it
has what it waited for, another takes over. So a lone `result()` is woken by the kernel itself, with
no thread between. For those who can't block (coroutines) a relay thread waits in their stead.
"""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from mainspring.errors import JobGone, StoreError, StoreUnusable
from mainspring.stores.clock import monotonic
from mainspring.stores.ownership import Signal, is_called_by, let_go, owns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.job import Ended
    from mainspring.model.view import JobRecord
    from mainspring.protocols import Listener

NET_SECONDS = 1.0
"""A wake-up that got lost costs a waiting side this long at most."""

LOOKED_FOR = 100
"""So many jobs at most are looked for in NET_SECONDS, whether they are still there."""

IDLE_TURNS = 5
"""The relay thread ends when nobody has waited for so many turns of NET_SECONDS."""


Tell = Callable[["Ended | StoreError"], None]
"""Is told how a job ended, or why that can't be known."""


class EndedJobs(Protocol):
    """The part of a store that tells of ended jobs."""

    def ended(self, job_ids: Sequence[str]) -> dict[str, Ended]:
        """Return how those of the jobs ended that have ended."""
        ...

    def get(self, job_id: str) -> JobRecord | None:
        """Return the job as it is now, None if it is gone."""
        ...

    def listen(self, topic: str) -> Listener:
        """Listen for `"ended"`."""
        ...


class Seat:
    """One thread that waits."""

    def __init__(self) -> None:
        self.ended: Ended | StoreError | None = None
        self.roused = Signal()
        self.room: _Room | None = None
        self.listening = False

    def tell(self, ended: Ended | StoreError) -> None:
        """Give it what it waits for."""
        self.ended = ended
        self.roused.give()


class Waiter:
    """Tells each who waits how its job ended. Thread-safe, and made anew after a fork."""

    def __init__(self, store: EndedJobs) -> None:
        self._store = store
        self._room = _Room()
        _waiters.add(self)

    def wait(self, job_id: str, timeout: float | None) -> Ended | None:
        """Block until the job has ended, at most `timeout` seconds; None if it has not."""
        deadline = math.inf if timeout is None else monotonic() + timeout
        seat = Seat()
        try:
            self._wait(job_id, seat, deadline)
        except BaseException:
            self._recover(job_id, seat)
            raise
        if isinstance(seat.ended, StoreError):
            raise seat.ended
        return seat.ended

    def _wait(self, job_id: str, seat: Seat, deadline: float) -> None:
        room = self._enter(job_id, seat.tell, seat)
        try:
            while seat.ended is None and (left := deadline - monotonic()) > 0:
                self._wait_turn(room, seat, min(left, NET_SECONDS))
        finally:
            room.forget(job_id, seat.tell)
            _hand_over(room)

    def _recover(self, job_id: str, seat: Seat) -> None:
        """Leave nothing of a wait that an exception has ended, wherever that came."""
        room = seat.room
        if room is None:
            return
        if not is_called_by(Waiter._wait):  # else a handler waits in the midst of another wait
            let_go(room.lock)
            let_go(room.lead)
        if seat.listening:
            # It may be in any state now: who leads next listens anew.
            room.close_listener()
        room.forget(job_id, seat.tell)
        room.leave_line(seat)
        _hand_over(room)

    def subscribe(self, job_id: str, tell: Tell) -> Callable[[], None]:
        """Call `tell` once, from some thread, when the job has ended or the store can't say.

        Returns the cancellation.
        """
        room = self._enter(job_id, tell, None)
        with room.lock:
            if not room.relayed and room.waiting:
                room.relayed = True
                threading.Thread(
                    target=self._relay, args=(room,), name="mainspring-results", daemon=True
                ).start()
        return lambda: room.forget(job_id, tell)

    def close(self) -> None:
        """End the wait of all who wait, with an error, and listen no more."""
        room, self._room = self._room, _Room()
        with room.lock:
            room.closed = True
            if room.listener is not None:
                room.listener.close()
        room.tell_all(StoreUnusable("the store", "its queue was closed meanwhile", "close it last"))

    def abandon(self) -> None:
        """Begin anew in a forked child: those who wait are in the parent."""
        self._room = _Room()

    def _enter(self, job_id: str, tell: Tell, seat: Seat | None) -> _Room:
        room = self._admit(job_id, tell, seat)
        try:
            # Listening first, looking second: what ends in between is seen twice, never missed.
            self._look(room, [job_id])
        except BaseException:
            room.forget(job_id, tell)
            raise
        return room

    def _admit(self, job_id: str, tell: Tell, seat: Seat | None) -> _Room:
        while True:
            room = self._room
            if seat is not None:
                seat.room = room
            with room.lock:
                if room.closed:
                    continue
                self._listen_in(room)
                room.waiting.setdefault(job_id, []).append(tell)
                return room

    def _listen_in(self, room: _Room) -> None:
        """Have a listener in the room; to be called with its lock."""
        if room.listener is None and not room.closed:
            room.listener = self._store.listen("ended")
            if not room.finalized:
                room.finalized = True
                weakref.finalize(self, _close, room)

    def _wait_turn(self, room: _Room, seat: Seat, seconds: float) -> None:
        room.followers.append(seat)
        # In line before it looks for a leader; a leader that leaves does it the other way round.
        if owns(room.lead):
            # A handler that waits in the midst of its thread's own wait, which can't go on.
            seat.roused.wait(seconds)
            self._look(room, list(room.waiting))
        else:
            self._lead_or_follow(room, seat, seconds)
        room.leave_line(seat)

    def _lead_or_follow(self, room: _Room, seat: Seat, seconds: float) -> None:
        try:
            if room.lead.acquire(blocking=False):
                self._listen(room, seat, seconds)
                return
        finally:
            let_go(room.lead)
        seat.roused.wait(seconds)

    def _listen(self, room: _Room, seat: Seat, seconds: float) -> None:
        if seat.ended is not None:
            return
        with room.lock:
            self._listen_in(room)
        if (listener := room.listener) is not None:
            seat.listening = True
            listener.wait(seconds)
            seat.listening = False
            self._look(room, list(room.waiting))
            self._look_for_gone(room)

    def _relay(self, room: _Room) -> None:
        try:
            self._relay_while_needed(room)
        except BaseException:
            # Whatever ended it: who comes next starts another.
            with room.lock:
                room.relayed = False
            raise

    def _relay_while_needed(self, room: _Room) -> None:
        seat, idle = Seat(), 0
        while not room.closed and room.needs_relay(idle):
            idle = 0 if room.waiting else idle + 1
            try:
                self._wait_turn(room, seat, NET_SECONDS)
            except StoreError as error:
                room.tell_all(error)

    def _look(self, room: _Room, job_ids: list[str]) -> None:
        for job_id, ended in self._store.ended(job_ids).items() if job_ids else ():
            for tell in room.leave(job_id):
                tell(ended)

    def _look_for_gone(self, room: _Room) -> None:
        """Tell those whose job was dropped before anybody here saw its end: none comes any more."""
        for job_id in room.to_look_for(monotonic()):
            if self._store.get(job_id) is None:
                for tell in room.leave(job_id):
                    tell(JobGone(job_id))


class _Room:
    """Those who wait in one process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self.lead = threading.RLock()
        self.waiting: dict[str, list[Tell]] = {}
        self.followers: deque[Seat] = deque()
        self.listener: Listener | None = None
        self.relayed = False
        self.finalized = False
        self.closed = False
        self.looked_at = monotonic()

    def to_look_for(self, now: float) -> list[str]:
        """Return the jobs that it is time to look for; those that wait longest come first."""
        if now - self.looked_at < NET_SECONDS:
            return []
        self.looked_at = now
        with self.lock:
            due = list(self.waiting)[:LOOKED_FOR]
            # To the end of the line, so that all of many have their turn.
            for job_id in due:
                self.waiting[job_id] = self.waiting.pop(job_id)
            return due

    def close_listener(self) -> None:
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.close()

    def leave(self, job_id: str) -> list[Tell]:
        with self.lock:
            return self.waiting.pop(job_id, [])

    def forget(self, job_id: str, tell: Tell) -> None:
        with self.lock:
            tells = self.waiting.get(job_id, [])
            if tell in tells:
                tells.remove(tell)
            if not tells:
                self.waiting.pop(job_id, None)

    def needs_relay(self, idle: int) -> bool:
        """Whether the relay goes on; says in the same breath that there is none any more."""
        with self.lock:
            self.relayed = bool(self.waiting) or idle < IDLE_TURNS
            return self.relayed

    def tell_all(self, error: StoreError) -> None:
        with self.lock:
            told, self.waiting = self.waiting, {}
        for tells in told.values():
            for tell in tells:
                tell(error)

    def leave_line(self, seat: Seat) -> None:
        with self.lock:
            if seat in self.followers:
                self.followers.remove(seat)


def _hand_over(room: _Room) -> None:
    """Let another lead, if there is one."""
    for follower in list(room.followers)[:1]:
        follower.roused.give()


def _close(room: _Room) -> None:
    # A forked child must leave its parent's listener alone.
    if room.pid == os.getpid() and room.listener is not None:
        room.listener.close()


_waiters: weakref.WeakSet[Waiter] = weakref.WeakSet()


def _abandon_all() -> None:
    for waiter in list(_waiters):
        waiter.abandon()


os.register_at_fork(after_in_child=_abandon_all)
