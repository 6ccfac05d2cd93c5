"""Services that come and go while it lives, and are closed together."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING

from mainspring.errors import AlreadyRunning, NotRunning
from mainspring.supervision.loops.post import Post
from mainspring.supervision.megaphone import Megaphone
from mainspring.supervision.supervisor.supervised import ServiceStatus, Supervised, grace_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.protocols import Service, Subscriber
    from mainspring.supervision.restart import Restart

LAST_WAIT = 1.5
"""Seconds for cancelled services to end: more than they give to what is theirs."""


class Member:
    """A service in a group: a handle for any thread.

    `ended` is done when it has ended and will not be started again; its result is why it failed
    for good, or None.
    """

    def __init__(self, service: Service, restart: Restart | None) -> None:
        self.service = service
        self.restart = restart
        self.ended: Future[BaseException | None] = Future()
        self.entry: Supervised | None = None

    def status(self) -> ServiceStatus:
        """Return what it is; from any thread."""
        if self.entry is None:
            return ServiceStatus(self.service.name, "new", 0, None)
        return self.entry.status()


class Group:
    """Owns services that are added while it runs; one that fails for good leaves the others be.

    Closing asks all, the last one first, and then waits for all together. Cancelling `run` cancels
    what has not ended.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._megaphone = Megaphone()
        self._members: dict[int, Member] = {}
        self._lock = threading.RLock()
        self._post: Post | None = None
        self._wake = asyncio.Event()
        self._closed = False

    @property
    def name(self) -> str:
        """What the supervisor and the log call it."""
        return self._name

    @property
    def members(self) -> list[Member]:
        """Those that have not ended, in the order in which they were added."""
        with self._lock:
            return list(self._members.values())

    @property
    def grace(self) -> float:
        """The longest grace that one of them has of its own; 0 if none has."""
        return max((grace_of(member.service) for member in self.members), default=0.0)

    def is_run_here(self) -> bool:
        """Whether the calling thread runs its loop, so that to wait would keep it from starting."""
        here = asyncio._get_running_loop()  # noqa: SLF001  documented, and does not raise
        return here is not None and self._post is not None and self._post.loop is here

    def subscribe(self, subscriber: Subscriber) -> None:
        """Tell `subscriber` what happens to the services."""
        self._megaphone.subscribe(subscriber)

    def add(self, service: Service, *, restart: Restart | None = None) -> Member:
        """Start a service, at once without waiting for it; from any thread.

        Raises `NotRunning` before the group runs and once it is closed.
        """
        member = Member(service, restart)
        with self._lock:
            if self._post is None or self._closed:
                raise NotRunning(f"{self._name} takes no service: the supervisor is not running")
            self._members[id(member)] = member
            self._post.call(partial(self._start, member))
        return member

    def cancel(self, member: Member) -> None:
        """Cancel a service that was asked to end and does not; from any thread."""
        with self._lock:
            if self._post is not None:
                self._post.call(partial(_cancel, member))

    async def run(self, started: Callable[[], None]) -> None:
        """Own services until closed and each of them has ended."""
        with self._lock:
            if self._post is not None:
                raise AlreadyRunning("group", self._name)
            self._post = Post(asyncio.get_running_loop())
        started()
        try:
            await self._wait_for_close()
            await self._close_all()
        except asyncio.CancelledError:
            await self._cancel_all()
            raise
        finally:
            with self._lock:
                self._post = None

    def close(self) -> None:
        """Take no more services, and end those there are; from any thread."""
        with self._lock:
            self._closed = True
            if self._post is not None:
                self._post.call(self._wake.set)

    async def _wait_for_close(self) -> None:
        if not self._closed:
            await self._wake.wait()

    async def _close_all(self) -> None:
        # Those added last may not have begun yet: the post delivers in two turns of the loop.
        for _ in range(3):
            await asyncio.sleep(0)
        for member in reversed(self.members):
            if member.entry is not None:
                member.entry.ask()
        if tasks := self._tasks():
            await asyncio.wait(tasks)

    async def _cancel_all(self) -> None:
        for task in self._tasks():
            task.cancel()
        if tasks := self._tasks():
            await asyncio.wait(tasks, timeout=LAST_WAIT)

    def _tasks(self) -> list[asyncio.Task[None]]:
        entries = [member.entry for member in self.members]
        return [one.task for one in entries if one is not None and one.task is not None]

    def _start(self, member: Member) -> None:
        member.entry = Supervised(member.service, member.restart, tell=self._megaphone.tell)
        member.entry.start().add_done_callback(lambda _: self._note_end(member))

    def _note_end(self, member: Member) -> None:
        with self._lock:
            self._members.pop(id(member), None)
        entry = member.entry
        failed = entry is not None and entry.status().state == "failed"
        member.ended.set_result(entry.error if failed and entry is not None else None)


def _cancel(member: Member) -> None:
    if member.entry is not None and member.entry.task is not None:
        member.entry.task.cancel()
