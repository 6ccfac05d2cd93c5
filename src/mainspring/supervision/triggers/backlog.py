"""The items that wait for a queue worker, and the trigger that hands them out one by one."""

from __future__ import annotations

import asyncio
import queue as standard
from typing import TYPE_CHECKING, Any, Protocol

from mainspring.clock import monotonic
from mainspring.errors import NotRunning
from mainspring.supervision.sleeper import LoopSleeper, ThreadSleeper
from mainspring.supervision.triggers.queue_hook import queue_hook_of

if TYPE_CHECKING:
    from collections.abc import Callable

FULL = (asyncio.QueueFull, standard.Full)
"""Errors of a queue that is full."""

EMPTY = (asyncio.QueueEmpty, standard.Empty)
"""Errors of a queue that is empty."""


class ItemQueue(Protocol):
    """The methods that a backlog needs of a queue; those of `asyncio` and `queue` have them."""

    def put_nowait(self, item: object, /) -> None:
        """Add an item, or raise."""
        ...

    def get_nowait(self) -> object:
        """Remove and return the next item, or raise."""
        ...

    def qsize(self) -> int:
        """Return how many items wait."""
        ...


class Backlog:
    """Items from any thread or loop, in the order of the queue that it wraps.

    What is put straight into the queue object wakes the worker too, if the queue is one of
    `asyncio` or `queue`; to put there from another thread is the queue's own affair. A bounded
    queue pushes back: `offer` blocks, `aput` waits. `pack` makes what the queue holds of an item;
    the backlog hands that out, and the queue itself, to whoever looks into it, what `unpack` makes
    of it. Several backlogs may share a queue.
    """

    def __init__(
        self,
        queue: ItemQueue | None = None,
        *,
        owner: str = "backlog",
        pack: Callable[[object], object] | None = None,
        unpack: Callable[[Any], object] | None = None,
    ) -> None:
        self.queue: ItemQueue = asyncio.Queue() if queue is None else queue
        self.owner = owner
        self.bound: int = max(getattr(self.queue, "maxsize", 0), 0)
        """The most items that may wait; 0: any number."""
        self._open = True
        if not hasattr(self.queue, "_put"):
            raise TypeError(
                f"{self.owner}: queue={self.queue!r} can't work; "
                "give a queue of asyncio or of the queue module"
            )
        # Without the queue's own lock if it has one: whoever puts by hand wakes us under it.
        self.size: Callable[[], int] = getattr(self.queue, "_qsize", self.queue.qsize)
        self._hook = queue_hook_of(self.queue, pack, unpack)
        self.take: Callable[[], object] = self._hook.take
        """Removes and returns the next item, which lets one who waits for space in.

        Raises `asyncio.QueueEmpty` or `queue.Empty`.
        """
        self.finish: Callable[[], None] = self._hook.finish
        """Counts an item that was taken as dealt with: the queue's `join` waits for that."""

    def __len__(self) -> int:
        return self.queue.qsize()

    @property
    def full(self) -> bool:
        """True if there is no space just now."""
        return 0 < self.bound <= self.queue.qsize()

    def open(self) -> None:
        """Accept items (again)."""
        self._open = True

    def shut(self) -> None:
        """Refuse further items; those who wait for space get `NotRunning`."""
        with self._hook.lock:
            self._open = False
        self._hook.listen(self, None)
        self._hook.wake_waiters()

    def forget(self) -> None:
        """In a forked child: drop the items and whoever waits, which are the parent's."""
        self._hook.forget()

    def bind(self, wake: Callable[[], None]) -> None:
        """Set the function to call after each item."""
        self._hook.listen(self, wake)

    def put(self, item: object) -> None:
        """Add an item at once.

        Raises `NotRunning` after `shut`, `asyncio.QueueFull` or `queue.Full` without space.
        """
        with self._hook.lock:
            if not self._open:
                raise self._refusal()
            self._hook.put_nowait(item)

    def offer(self, item: object, timeout: float | None = None) -> None:
        """Add an item; block up to `timeout` seconds for space (None: for ever).

        Raises `TimeoutError`, or `NotRunning` after `shut`.
        """
        if self._added(item):
            return
        sleeper = ThreadSleeper()
        deadline = None if timeout is None else monotonic() + timeout
        try:
            while not self._added(item, sleeper.wake):
                sleeper.sleep(self._seconds_left(deadline, timeout))
        except BaseException:  # Ctrl-C, too: who has gone must not be offered the next place
            self._leave(sleeper.wake)
            raise

    async def aput(self, item: object) -> None:
        """Add an item; wait for space. Raises `NotRunning` after `shut`."""
        if self._added(item):
            return
        loop = asyncio.get_running_loop()
        sleeper = LoopSleeper(loop)

        def wake() -> bool:
            sleeper.wake()
            return not loop.is_closed()

        try:
            while not self._added(item, wake):
                await sleeper.sleep(None)
        except BaseException:  # as above
            self._leave(wake)
            raise

    def _added(self, item: object, wake: Callable[[], object] | None = None) -> bool:
        """Add an item, or have `wake` called when there is space for it."""
        hook = self._hook
        with hook.lock:
            if not self._open:
                raise self._refusal()
            if wake is not None:
                # Before the look: an item may be taken by hand at any moment.
                hook.wait_for_space(wake)
            if self.bound and self.full:
                return False
            try:
                hook.put_nowait(item)
            except FULL:
                # A signal handler, or somebody who puts by hand, was faster.
                return False
            if wake is not None:
                self._leave(wake)
            return True

    def _seconds_left(self, deadline: float | None, timeout: float | None) -> float | None:
        left = None if deadline is None else deadline - monotonic()
        if left is not None and left <= 0:
            raise TimeoutError(f"no space in the queue of {self.owner!r} for {timeout} s")
        return left

    def _leave(self, wake: Callable[[], object]) -> None:
        """Wait for space no longer; a place that was offered meanwhile goes to the next."""
        if not self._hook.leave(wake):
            self._hook.let_in()

    def _refusal(self) -> NotRunning:
        return NotRunning(f"{self.owner!r} is stopped and takes no items; start it first")


class Items:
    """Fires once for each item of a backlog."""

    def __init__(self, backlog: Backlog) -> None:
        self.backlog = backlog
        self._wake: Callable[[], None] | None = None
        self._closed = False
        self._draining = False
        self._taken = False

    def bind(self, wake: Callable[[], None]) -> None:
        """Set the function that ends the driver's sleep."""
        self._wake = wake
        self.backlog.bind(wake)

    def due(self, now: float) -> float | None:  # noqa: ARG002  the seam's signature
        """Return 0 when there is an item, else None."""
        return 0.0 if self.backlog.size() else None

    def take(self, now: float) -> tuple[object, ...] | None:  # noqa: ARG002  the seam's signature
        """Return the next item, or None if somebody else has taken it meanwhile."""
        try:
            taken = self.backlog.take()
        except EMPTY:
            return None
        self._taken = True
        return (taken,)

    def done(self, now: float) -> None:  # noqa: ARG002  the seam's signature
        """Count the item as dealt with."""
        if self._taken:
            self._taken = False
            self.backlog.finish()

    def wake(self) -> None:
        """Let the driver look again; from any thread."""
        if self._wake is not None:
            self._wake()

    def drain(self) -> None:
        """Close as soon as no item is left."""
        self._draining = True
        self.wake()

    def close(self) -> None:
        """Fire no more; what is left stays in the backlog."""
        self._closed = True
        self.wake()

    @property
    def closed(self) -> bool:
        """True if it was closed, or has drained."""
        return self._closed or (self._draining and not self.backlog.size())
