"""A named event loop of a supervisor, with the method names of the reference pages."""

from __future__ import annotations

import threading
from concurrent import futures
from typing import TYPE_CHECKING, Any

from mainspring.background.registry import OwnedRegistry
from mainspring.errors import DuplicateName, InvalidOption
from mainspring.supervision.forked import reset_in_child
from mainspring.supervision.inside import running_loop
from mainspring.supervision.loops.event_loop import EventLoopThread

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine
    from concurrent.futures import Future

    from mainspring.supervision.supervisor.member import Member
    from mainspring.supervision.supervisor.supervisor import Supervisor

START_TIMEOUT = 10.0
"""Seconds for a thread to begin; longer only on a machine that has none to give."""


class ALoop:
    """An event loop in a thread named `supervisor_aloop_<name>`, which can be started again."""

    def __init__(self, name: str, *, thread_name: str | None = None) -> None:
        self.name = name
        self._thread_name = thread_name or f"supervisor_aloop_{name}"
        self._thread = EventLoopThread(name, thread_name=self._thread_name)
        self._member: Member | None = None
        self.wanted = False

    @property
    def active(self) -> bool:
        """True if it takes coroutines."""
        return self._thread.active

    @property
    def thread(self) -> EventLoopThread:
        """The service that runs it now."""
        return self._thread

    def is_active(self) -> bool:
        """Return whether it takes coroutines."""
        return self.active

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The asyncio loop; raises `NotRunning`."""
        return self._thread.loop

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the asyncio loop; raises `NotRunning`."""
        return self._thread.loop

    def spawn_coroutine_threadsafe(self, coro: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run a coroutine on the loop; from any thread. Raises `NotRunning`, `TypeError`."""
        return self._thread.submit(coro)

    background_task = spawn_coroutine_threadsafe

    def run_coroutine_threadsafe(
        self, coro: Coroutine[Any, Any, Any], timeout: float | None = None
    ) -> Any:
        """Run a coroutine on the loop and wait for its result; from another thread.

        Raises what the coroutine raised, `NotRunning`, `TimeoutError`; `RuntimeError` from a
        coroutine of this loop, which would wait for itself.
        """
        if running_loop() is self._thread.current_loop is not None:
            coro.close()
            raise RuntimeError(f"loop {self.name!r} would wait for itself; await the coroutine")
        return self._thread.submit(coro).result(timeout)

    run = run_coroutine_threadsafe

    def start(self, group: Supervisor) -> bool:
        """Start it in a group and wait until it runs; False: it runs already."""
        if self._member is not None and not self._member.ended.done():
            return False
        self.wanted = True
        self._thread = EventLoopThread(self.name, thread_name=self._thread_name)
        self._member = group.launch(self._thread)
        # A subscriber to events, on the supervisor's loop, can't have it at once.
        return self._thread.wait_active(0 if running_loop() is group.loop else START_TIMEOUT)

    def reset_after_fork(self) -> None:
        """In a forked child: be stopped, but start again with the supervisor."""
        self._thread = EventLoopThread(self.name, thread_name=self._thread_name)
        self._member = None

    def stop(self, wait: float | bool = True) -> bool:  # noqa: FBT001, FBT002  the pages' signature
        """Stop what runs, and wait for that up to `wait` seconds; return whether it ended.

        From a coroutine of any loop it only asks.
        """
        member = self._member
        if member is None:
            return True
        self.wanted = False
        self._thread.close()
        if wait is not False and running_loop() is None:
            futures.wait([member.ended], None if wait is True else float(wait))
        return member.ended.done()


class Loops:
    """The named loops of one supervisor, and its own."""

    def __init__(self, owner: str) -> None:
        self._loops: OwnedRegistry[ALoop] = OwnedRegistry("aloop", inherited=True)
        self._default: ALoop | None = None
        self._own = ALoop("supervisor", thread_name=f"{owner}_loop")
        self._lock = threading.RLock()
        reset_in_child(self)

    def reset_after_fork(self) -> None:
        """In a forked child: the supervisor's own does not run."""
        self._lock = threading.RLock()
        self._own.reset_after_fork()

    def create(self, name: str, *, default: bool) -> ALoop:
        """Make a loop; raises `DuplicateName`."""
        if name == self._own.name:
            raise DuplicateName(name, kind="aloop", first=repr(self._own), second="a new one")
        loop = ALoop(name)
        self._loops.add(name, loop)
        if default:
            self._default = loop
        return loop

    def get(self, name: str | None = None) -> ALoop:
        """Return a loop by name, or the default one; raises `InvalidOption`."""
        if name is None:
            return self._default or self._own
        found = self._loops.get(name)
        if found is None:
            expected = f"one that was created: {self._loops.names()}"
            raise InvalidOption("loop", name, owner="TaskSupervisor", expected=expected)
        return found

    def created(self) -> dict[str, ALoop]:
        """Return those that were created, by name."""
        return {loop.name: loop for loop in self._loops.all()}

    @property
    def default(self) -> ALoop | None:
        """The loop of what names none, None for the supervisor's own."""
        return self._default

    def set_default(self, loop: ALoop | str | None) -> None:
        """Use this loop where no other is named. Raises `InvalidOption`."""
        if not (loop is None or isinstance(loop, str | ALoop)):
            expected = "an aloop, its name, or None"
            raise InvalidOption("default_aloop", loop, owner="TaskSupervisor", expected=expected)
        self._default = self.get(loop) if isinstance(loop, str) else loop

    def running(self, loop: ALoop | str | None, group: Supervisor) -> ALoop:
        """Return a loop by name, itself, or the default; the supervisor's own is started."""
        found = loop if isinstance(loop, ALoop) else self.get(loop)
        if found is self._own:
            with self._lock:
                found.start(group)
        return found

    def start_again(self, group: Supervisor) -> None:
        """Start those that were started when the supervisor stopped."""
        for loop in self._loops.all():
            if loop.wanted:
                loop.start(group)

    def threads(self) -> list[EventLoopThread]:
        """Return the services that run them."""
        return [loop.thread for loop in self.all()]

    def all(self) -> list[ALoop]:
        """Return every loop, the supervisor's own included if it runs."""
        return [*self._loops.all(), *([self._own] if self._own.active else [])]
