"""Waiting for jobs to end, without polling.

Of the threads that wait, one listens to the store and notifies all others; when it
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

from mainspring.clock import monotonic
from mainspring.errors import JobGone, MainspringError, StoreError, StoreUnusable
from mainspring.stores.job_id import ids_of
from mainspring.stores.ownership import Signal, is_called_by, let_go, owns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.job import Ended, Notice
    from mainspring.model.view import JobRecord
    from mainspring.protocols import Listener

NET_SECONDS = 1.0
"""A wake-up that got lost costs a waiting side this long at most."""

LOOKED_FOR = 100
"""Most jobs whose presence is checked in NET_SECONDS."""

IDLE_TURNS = 5
"""The relay thread ends when nobody has waited for so many turns of NET_SECONDS."""


OnEnd = Callable[["Ended | MainspringError"], None]
"""A callback that gets the end of a job, or the error because of which that can't be known."""


class EndedJobs(Protocol):
    """The part of a store that knows of ended jobs."""

    def ended(self, job_ids: Sequence[str]) -> dict[str, Ended]:
        """Return how those of the jobs ended that have ended."""
        ...

    def get(self, job_id: str) -> JobRecord | None:
        """Return the job as it is now, None if it is gone."""
        ...

    def listen(self, topic: str) -> Listener:
        """Listen for `"ended"`."""
        ...


class Waiting:
    """One thread that waits, or one that is called when it is over."""

    def __init__(self) -> None:
        self.ended: Ended | MainspringError | None = None
        self.woken = Signal()
        self.waiters: _Waiters | None = None
        self.listening = False

    def notify(self, ended: Ended | MainspringError) -> None:
        """Wake it with the end that it waits for."""
        self.ended = ended
        self.woken.give()


class Waiter:
    """Waits for ends of jobs. Thread-safe, and made anew after a fork."""

    def __init__(self, store: EndedJobs) -> None:
        self._store = store
        self._waiters = _Waiters()
        _instances.add(self)

    def wait(self, job_id: str, timeout: float | None) -> Ended | None:
        """Block until the job has ended, at most `timeout` seconds; None if it has not."""
        deadline = math.inf if timeout is None else monotonic() + timeout
        waiting = Waiting()
        try:
            self._wait(job_id, waiting, deadline)
        except BaseException:
            self._recover(job_id, waiting.notify, waiting)
            raise
        if isinstance(waiting.ended, MainspringError):
            raise waiting.ended
        return waiting.ended

    def _wait(self, job_id: str, waiting: Waiting, deadline: float) -> None:
        waiters = self._enter(job_id, waiting.notify, waiting)
        try:
            while waiting.ended is None and (left := deadline - monotonic()) > 0:
                self._wait_turn(waiters, waiting, min(left, NET_SECONDS))
        finally:
            waiters.forget(job_id, waiting.notify)
            _hand_over(waiters)

    def _recover(self, job_id: str, on_end: OnEnd, waiting: Waiting) -> None:
        """Leave nothing of a wait that an exception has ended, wherever that came."""
        waiters = waiting.waiters
        if waiters is None:
            return
        # Else a handler waits in the midst of another wait.
        if not is_called_by(Waiter._wait, Waiter._subscribe, Waiter._unsubscribe):
            let_go(waiters.lock)
            let_go(waiters.lead)
        if waiting.listening:
            # It may be in any state now: who leads next listens anew.
            waiters.close_listener()
        waiters.forget(job_id, on_end)
        waiters.leave_queue(waiting)
        _hand_over(waiters)

    def subscribe(self, job_id: str, on_end: OnEnd) -> Callable[[], None]:
        """Call `on_end` once, from some thread, when the job has ended or the store can't say.

        Returns the cancellation.
        """
        waiting = Waiting()
        self._guard(self._subscribe, job_id, on_end, waiting)
        return lambda: self._guard(self._unsubscribe, job_id, on_end, waiting)

    def _guard(
        self, step: Callable[[str, OnEnd, Waiting], None], job_id: str, on_end: OnEnd, of: Waiting
    ) -> None:
        try:
            step(job_id, on_end, of)
        except BaseException:
            self._recover(job_id, on_end, of)
            raise

    def _subscribe(self, job_id: str, on_end: OnEnd, waiting: Waiting) -> None:
        waiters = self._enter(job_id, on_end, waiting)
        with waiters.lock:
            if not waiters.relayed and waiters.jobs:
                threading.Thread(
                    target=self._relay, args=(waiters,), name="mainspring-results", daemon=True
                ).start()
                # Last: if an exception comes before, the next one starts another, which harms none.
                waiters.relayed = True

    def _unsubscribe(self, job_id: str, on_end: OnEnd, waiting: Waiting) -> None:
        if waiting.waiters is not None:
            waiting.waiters.forget(job_id, on_end)

    def close(self) -> None:
        """End the wait of all who wait, with an error, and listen no more."""
        waiters, self._waiters = self._waiters, _Waiters()
        in_a_handler = owns(waiters.lock)
        try:
            with waiters.lock:
                waiters.closed = True
                if waiters.listener is not None:
                    waiters.listener.close()
            waiters.notify_all(
                StoreUnusable("the store", "its queue was closed meanwhile", "close it last")
            )
        finally:
            if not in_a_handler:  # which came while its thread had the lock, and still needs it
                let_go(waiters.lock)

    def abandon(self) -> None:
        """Begin anew in a forked child: those who wait are in the parent."""
        self._waiters = _Waiters()

    def _enter(self, job_id: str, on_end: OnEnd, waiting: Waiting) -> _Waiters:
        waiters = self._admit(job_id, on_end, waiting)
        try:
            # Listening first, looking second: what ends in between is seen twice, never missed.
            self._look(waiters, [job_id])
        except BaseException:
            waiters.forget(job_id, on_end)
            raise
        return waiters

    def _admit(self, job_id: str, on_end: OnEnd, waiting: Waiting) -> _Waiters:
        while True:
            waiters = waiting.waiters = self._waiters
            with waiters.lock:
                if waiters.closed:
                    continue
                self._listen_in(waiters)
                waiters.jobs.setdefault(job_id, []).append(on_end)
                return waiters

    def _listen_in(self, waiters: _Waiters) -> None:
        """Open the listener if there is none; to be called with the lock of `waiters`."""
        if waiters.listener is None and not waiters.closed:
            waiters.listener = self._store.listen("ended")
            if not waiters.finalized:
                waiters.finalized = True
                weakref.finalize(self, _close, waiters)

    def _wait_turn(self, waiters: _Waiters, waiting: Waiting, seconds: float) -> None:
        waiters.followers.append(waiting)
        # In line before it looks for a leader; a leader that leaves does it the other way round.
        if owns(waiters.lead):
            # A handler that waits in the midst of its thread's own wait, which can't go on.
            waiting.woken.wait(seconds)
            self._look(waiters, list(waiters.jobs))
        else:
            self._lead_or_follow(waiters, waiting, seconds)
        waiters.leave_queue(waiting)

    def _lead_or_follow(self, waiters: _Waiters, waiting: Waiting, seconds: float) -> None:
        try:
            if waiters.lead.acquire(blocking=False):
                self._listen(waiters, waiting, seconds)
                return
        finally:
            let_go(waiters.lead)
        waiting.woken.wait(seconds)

    def _listen(self, waiters: _Waiters, waiting: Waiting, seconds: float) -> None:
        if waiting.ended is not None:
            return
        if waiters.listener is None:
            with waiters.lock:
                self._listen_in(waiters)
        if (listener := waiters.listener) is not None:
            waiting.listening = True
            notice = listener.wait(seconds)
            waiting.listening = False
            self._look(waiters, waiters.concerned_by(notice))
            self._look_for_gone(waiters)

    def _relay(self, waiters: _Waiters) -> None:
        try:
            self._relay_while_needed(waiters)
        except BaseException:
            # Whatever ended it: who comes next starts another.
            with waiters.lock:
                waiters.relayed = False
            raise

    def _relay_while_needed(self, waiters: _Waiters) -> None:
        waiting, idle = Waiting(), 0
        while not waiters.closed and waiters.needs_relay(idle):
            idle = 0 if waiters.jobs else idle + 1
            try:
                self._wait_turn(waiters, waiting, NET_SECONDS)
            except StoreError as error:
                waiters.notify_all(error)

    def _look(self, waiters: _Waiters, job_ids: list[str]) -> None:
        for job_id, ended in self._store.ended(job_ids).items() if job_ids else ():
            for on_end in waiters.leave(job_id):
                on_end(ended)

    def _look_for_gone(self, waiters: _Waiters) -> None:
        """Notify those whose job was dropped before anybody here saw its end."""
        for job_id in waiters.to_look_for(monotonic()):
            if self._store.get(job_id) is None:
                for on_end in waiters.leave(job_id):
                    on_end(JobGone(job_id))


class _Waiters:
    """Threads and callbacks of one process that wait for jobs."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self.lead = threading.RLock()
        self.jobs: dict[str, list[OnEnd]] = {}
        self.followers: deque[Waiting] = deque()
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
            due = list(self.jobs)[:LOOKED_FOR]
            # To the end of the line, so that all of many have their turn.
            for job_id in due:
                self.jobs[job_id] = self.jobs.pop(job_id)
            return due

    def concerned_by(self, notice: Notice | None) -> list[str]:
        """Return the jobs to ask the store about after a wait; after one without a notice, all."""
        waiting = list(self.jobs)
        if notice is None or notice.keys is None:
            return waiting
        return ids_of(notice.keys, waiting)

    def close_listener(self) -> None:
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.close()

    def leave(self, job_id: str) -> list[OnEnd]:
        with self.lock:
            return self.jobs.pop(job_id, [])

    def forget(self, job_id: str, on_end: OnEnd) -> None:
        with self.lock:
            callbacks = self.jobs.get(job_id, [])
            if on_end in callbacks:
                callbacks.remove(on_end)
            if not callbacks:
                self.jobs.pop(job_id, None)

    def needs_relay(self, idle: int) -> bool:
        """Return True if the relay goes on; else record, in the same step, that it has ended."""
        with self.lock:
            self.relayed = bool(self.jobs) or idle < IDLE_TURNS
            return self.relayed

    def notify_all(self, error: StoreError) -> None:
        with self.lock:
            jobs, self.jobs = self.jobs, {}
        for callbacks in jobs.values():
            for on_end in callbacks:
                on_end(error)

    def leave_queue(self, waiting: Waiting) -> None:
        with self.lock:
            if waiting in self.followers:
                self.followers.remove(waiting)


def _hand_over(waiters: _Waiters) -> None:
    """Let another lead, if there is one."""
    for follower in list(waiters.followers)[:1]:
        follower.woken.give()


def _close(waiters: _Waiters) -> None:
    # A forked child must leave its parent's listener alone.
    if waiters.pid == os.getpid() and waiters.listener is not None:
        waiters.listener.close()


_instances: weakref.WeakSet[Waiter] = weakref.WeakSet()


def _abandon_all() -> None:
    for waiter in list(_instances):
        waiter.abandon()


os.register_at_fork(after_in_child=_abandon_all)
