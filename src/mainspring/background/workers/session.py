"""One life of a background worker, from a start to the stop that follows it."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mainspring.background.aloop import running_loop
from mainspring.supervision.own_thread import stack_of, whereabouts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mainspring.background.workers.carriage import Carriage
    from mainspring.background.workers.farewell import Farewell
    from mainspring.protocols import Subscriber, Trigger
    from mainspring.supervision.supervisor.group import Member
    from mainspring.supervision.workers.worker import Worker

log = logging.getLogger("mainspring.supervision")


class Session:
    """A core worker with its trigger, where it runs, and what follows its end. It is a service."""

    def __init__(self, core: Worker, trigger: Trigger, carriage: Carriage) -> None:
        self.core = core
        self.trigger = trigger
        self.farewell: Farewell | None = None
        self.member: Member | None = None
        self.finished: Future[None] = Future()
        # As one that runs it can't be cancelled by somebody who no longer waits for it.
        self.finished.set_running_or_notify_cancel()
        self.asked = False
        self.over = False  # ended, but for the hooks that follow
        self._carriage = carriage
        self._announcer: int | None = None  # the thread that is in the hooks before a stop
        # Reentrant, since a signal handler may stop it while its own thread is in here.
        self._lock = threading.RLock()

    @property
    def name(self) -> str:
        """The worker's name."""
        return self.core.name

    def subscribe(self, subscriber: Subscriber) -> None:
        """Tell `subscriber` of each run that fails."""
        self.core.subscribe(subscriber)

    async def run(self, started: Callable[[], None]) -> None:
        """Run the worker, and say farewell once it is at its end."""
        try:
            await self.core.run(started)
        finally:
            if self.core.ending and self.farewell is not None:
                await self.farewell.say(self.core.failure)

    def close(self) -> None:
        """Let no further run begin; from any thread."""
        self.core.close()

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that an async target is awaited on."""
        return self._carriage.loop

    @property
    def active(self) -> bool:
        """Whether it goes on running its target."""
        return not self.asked and not self.over and not self.core.ending

    def first_to_ask(self) -> bool:
        """Whether nobody has asked it to end before; asking once is enough."""
        with self._lock:
            first, self.asked = not self.asked, True
        return first

    def finish(self) -> None:
        """Tell those who wait that it has ended."""
        self.finished.set_result(None)

    def would_wait_for_itself(self, control: asyncio.AbstractEventLoop | None) -> bool:
        """Whether to wait here for its end would keep that from happening."""
        here = running_loop()
        if here is not None and here in (self._carriage.loop, control):
            return True
        if self._announcer == threading.get_ident() or self.runs_here():
            return True
        return self.farewell is not None and self.farewell.is_said_here()

    @contextmanager
    def announcing(self) -> Iterator[None]:
        """In the hooks before a stop, which it can't end before."""
        self._announcer = threading.get_ident()
        try:
            yield
        finally:
            self._announcer = None

    def tell_stuck(self, wait: float) -> None:
        """Say in the log where a run is that has not ended within `wait` seconds."""
        where = self.whereabouts()
        log.warning("worker %r has not ended after %s s, and is at:\n%s", self.name, wait, where)

    async def await_end(self, wait: float | bool) -> bool:  # noqa: FBT001  as `stop`
        """Wait for its end as `stop` says, but in its own target; return whether it has ended."""
        if wait is not False and not self.runs_here():
            finished = asyncio.wrap_future(self.finished)
            done, _ = await asyncio.wait([finished], timeout=None if wait is True else float(wait))
            if not done:
                self.tell_stuck(wait)
        return self.finished.done()

    def is_stranded(self) -> bool:
        """Whether it is on a loop of the user's own that does not run, so that it can't end."""
        loop = self._carriage.loop
        return self._carriage.foreign and loop is not None and not loop.is_running()

    def runs_here(self) -> bool:
        """Whether its target is what the calling thread or task runs."""
        if self.core.runner == threading.get_ident():
            return True
        task = self._carriage.task
        return task is not None and running_loop() is not None and asyncio.current_task() is task

    def whereabouts(self) -> str:
        """Return where its run is just now, as text; empty if none is under way."""
        for thread in threading.enumerate():
            if thread.ident in (self.core.runner, self._hooks_thread()):
                return stack_of(thread)
        task = self._carriage.task
        return "" if task is None else whereabouts_of(task)

    def _hooks_thread(self) -> int | None:
        return None if self.farewell is None else self.farewell.thread

    def still_runs(self) -> bool:
        """Whether a run was left behind, stuck in the target, when this life ended."""
        left = self.core.runner
        return left is not None and any(one.ident == left for one in threading.enumerate())
