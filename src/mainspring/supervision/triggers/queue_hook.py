"""Hooks on a queue object for the backlogs on it: they pack, unpack and wake.

It is set on the queue itself, once, so that several backlogs may share one, and so that what is put
straight into the queue, or taken out by hand, is seen by all of them.
"""

from __future__ import annotations

import asyncio
import queue as standard
import threading
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from mainspring.supervision.inside import running_loop
from mainspring.supervision.sleeper import LoopSleeper

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "_mainspring_hook"


class QueueHook:
    """The lock, the listeners and those who wait for space, of one queue.

    `pack` makes what the queue holds of an item, `unpack` what is got from it by hand.
    """

    def __init__(
        self,
        queue: Any,
        pack: Callable[[object], object] | None,
        unpack: Callable[[Any], object] | None,
    ) -> None:
        # Reentrant, since a signal handler may put while its own thread is in here.
        self.lock = threading.RLock()
        self._wakes: dict[object, Callable[[], None]] = {}  # by backlog
        self._to_wake: tuple[Callable[[], None], ...] = ()
        # Changed without our lock, since who takes by hand may hold one of the queue's own.
        self._waiters: OrderedDict[Callable[[], object], None] = OrderedDict()
        self._taker: int | None = None  # the thread that takes through us, and gets it packed
        self._pack = pack
        self._unpack = unpack
        self._get_next: Callable[[], object] = queue.get_nowait
        self._put: Callable[[object], None] = queue._put  # noqa: SLF001  made to be overridden
        self._get: Callable[[], object] = queue._get  # noqa: SLF001  made to be overridden
        self._queue = queue
        self.put_nowait: Callable[[object], None] = queue.put_nowait
        """The queue's own, for who has the lock."""
        self._count_done: Callable[[], None] | None = getattr(queue, "task_done", None)
        waiting = [] if pack is None else _take_all(queue)
        queue._put, queue._get = self._put_and_wake, self._get_and_wake  # noqa: SLF001  see above
        setattr(queue, NAME, self)
        for item in waiting:
            queue.put_nowait(item)
            queue.task_done()  # it was counted before

    def listen(self, backlog: object, wake: Callable[[], None] | None) -> None:
        """Call `wake` after each item, for this backlog; None: no more."""
        with self.lock:
            if wake is None:
                self._wakes.pop(backlog, None)
            else:
                self._wakes[backlog] = wake
            self._to_wake = tuple(self._wakes.values())

    def take(self) -> object:
        """Get the next item as it was packed."""
        with self.lock:
            self._taker = threading.get_ident()
            try:
                return self._get_next()
            finally:
                self._taker = None

    def finish(self) -> None:
        """Count an item as dealt with, for who waits in the queue's `join`; from any thread."""
        if self._count_done is None:
            return
        try:
            with self.lock:
                self._count_done()
        except ValueError:  # the target may have said so itself
            return

    def wait_for_space(self, wake: Callable[[], object]) -> None:
        """Call `wake`, once, when an item was taken and it is its turn.

        It returns False if nobody waits there any more.
        """
        self._waiters.setdefault(wake)

    def leave(self, wake: Callable[[], object]) -> bool:
        """Wait no longer; return whether it still did."""
        if wake not in self._waiters:
            return False
        del self._waiters[wake]
        return True

    def let_in(self) -> None:
        """Wake the one who has waited longest for space."""
        woken: object = False
        while woken is False:
            try:
                wake, _ = self._waiters.popitem(last=False)
            except KeyError:
                return
            woken = wake()

    def wake_waiters(self) -> None:
        """Wake all who wait for space."""
        while self._waiters:
            self.let_in()

    def forget(self) -> None:
        """In a forked child: drop the items, and whoever listens or waits, who are the parent's."""
        self.lock = threading.RLock()
        self._wakes.clear()
        self._to_wake = ()
        self._waiters.clear()
        if isinstance(self._queue, standard.Queue):
            _renew_locks(self._queue)
        size: Callable[[], int] = getattr(self._queue, "_qsize", self._queue.qsize)
        while size():
            self._get()
        if self._count_done is not None:
            with suppress(ValueError):  # all are done with: who runs one is the parent
                while True:
                    self._count_done()

    def _put_and_wake(self, item: object) -> None:
        self._put(item if self._pack is None else self._pack(item))
        for wake in self._to_wake:
            wake()

    def _get_and_wake(self) -> object:
        taken = self._get()
        if self._waiters:
            self.let_in()
        # Another thread may take one by hand just now.
        if self._unpack is None or self._taker == threading.get_ident():
            return taken
        return self._unpack(taken)


class AsyncioQueueHook(QueueHook):
    """The hook of a queue of asyncio, whose methods were made for the thread of one loop."""

    def __init__(
        self,
        queue: Any,
        pack: Callable[[object], object] | None,
        unpack: Callable[[Any], object] | None,
    ) -> None:
        # Nothing public wakes somebody on another loop than the caller's.
        self._wake_next: Callable[[Any], None] = queue._wakeup_next  # noqa: SLF001
        queue._wakeup_next = self._wake_next_there  # noqa: SLF001
        # Its own wakes nobody on another loop; so who waits in `join` already would not hear.
        queue._finished = AnyThreadEvent(is_set=queue._finished.is_set())  # noqa: SLF001  of all its versions
        super().__init__(queue, pack, unpack)
        # It counts an item after it has woken us, who may be done with that by then.
        queue.put_nowait = self._put_under_lock

    def take(self) -> object:
        """Get the next item as it was packed."""
        with self.lock:
            if not self._queue.qsize():
                raise asyncio.QueueEmpty
            taken = self._get()
            if self._waiters:
                self.let_in()
            if self._queue._loop is not None:  # noqa: SLF001  as above
                self._wake_next_there(self._queue._putters)  # noqa: SLF001  as above
            return taken

    def forget(self) -> None:
        """In a forked child: drop the items, and whoever listens or waits, who are the parent's."""
        self._queue._finished = AnyThreadEvent(is_set=True)  # noqa: SLF001  as above
        super().forget()

    def _wake_next_there(self, waiters: Any) -> None:
        """Wake one who awaits the queue itself, on the loop where that is.

        From another thread also if nobody does yet: somebody may be about to.
        """
        loop = self._queue._loop  # noqa: SLF001  as above
        if loop is None:  # nobody ever did
            return
        if loop is running_loop():
            self._wake_next(waiters)
            return
        with suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(self._wake_next, waiters)

    def _put_under_lock(self, item: object) -> None:
        with self.lock:
            self.put_nowait(item)


def _renew_locks(queue: Any) -> None:
    """Give a queue new locks: another thread may have held the old ones at the fork, for ever."""
    queue.mutex = threading.Lock()
    for name in ("not_empty", "not_full", "all_tasks_done"):
        setattr(queue, name, threading.Condition(queue.mutex))


class AnyThreadEvent:
    """An event with the methods of `asyncio.Event`, which any thread may set."""

    def __init__(self, *, is_set: bool = False) -> None:
        self._set = is_set
        self._wakes: set[Callable[[], None]] = set()

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._set

    def set(self) -> None:
        """Wake who waits."""
        self._set = True
        for wake in tuple(self._wakes):
            wake()

    def clear(self) -> None:
        """Have whoever comes wait."""
        self._set = False

    async def wait(self) -> Literal[True]:
        """Wait until it was set."""
        sleeper = LoopSleeper(asyncio.get_running_loop())
        self._wakes.add(sleeper.wake)  # before the look
        try:
            if not self._set:
                await sleeper.sleep(None)
        finally:
            self._wakes.discard(sleeper.wake)
        return True


def _take_all(queue: Any) -> list[object]:
    """Remove and return the items of a queue, in the order in which to put them back."""
    items = [queue.get_nowait() for _ in range(queue.qsize())]
    return items[::-1] if isinstance(queue, (asyncio.LifoQueue, standard.LifoQueue)) else items


def queue_hook_of(
    queue: Any,
    pack: Callable[[object], object] | None,
    unpack: Callable[[Any], object] | None,
) -> QueueHook:
    """Return the hook of a queue, set on it by the first who asks."""
    hook: QueueHook | None = getattr(queue, NAME, None)
    if hook is not None:
        return hook
    kind = AsyncioQueueHook if isinstance(queue, asyncio.Queue) else QueueHook
    return kind(queue, pack, unpack)
