"""Named locks of a queue's store, as context managers for threads and for coroutines."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.engine.locks.request import LockRequest, LockState
from mainspring.errors import InvalidOption, LockNotAcquired, NotRunning
from mainspring.model.name import EXPECTED, is_name
from mainspring.model.options import seconds

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from concurrent.futures import Future
    from datetime import timedelta

    from mainspring.engine.locks.keeper import LockKeeper

log = logging.getLogger("mainspring.queue")

OWNER = "Queue.lock()"
LONGEST_SECONDS = 86_400.0
"""Seconds waited at a time."""

WAIT = seconds().or_none("None, for as long as it takes")


class HeldLock:
    """A lock that a block holds: its `name`, its `fence`, and whether it was `lost`."""

    def __init__(self, acquisition: Acquisition) -> None:
        self._acquisition = acquisition

    def __repr__(self) -> str:
        return f"<HeldLock {self.name!r} fence={self.fence}{' lost' if self.lost else ''}>"

    @property
    def name(self) -> str:
        """Its name."""
        return self._acquisition.request.name

    @property
    def fence(self) -> int:
        """A number above that of every earlier holder, to be passed on with what the block writes.

        What is written to can so refuse a holder that was thought dead, and has been succeeded.
        """
        return self._acquisition.fence

    @property
    def lost(self) -> bool:
        """True once the lease was lost, so that somebody else may hold it; from any thread."""
        return self._acquisition.lost


class NamedLock:
    """A lock of a store, held by one block at a time of all processes: `with` or `async with`.

    One object may be used by several threads and tasks, and again and again.
    """

    def __init__(
        self,
        keeper: Callable[[], LockKeeper],
        name: str,
        *,
        wait: float | timedelta | None,
        on_lost: Callable[[], object] | None,
    ) -> None:
        if not is_name(name):
            raise InvalidOption("name", name, owner=OWNER, expected=EXPECTED)
        if on_lost is not None and not callable(on_lost):
            raise InvalidOption("on_lost", on_lost, owner=OWNER, expected="a function, or None")
        self.name = name
        self._keeper = keeper
        self._wait: float | None = WAIT(OWNER, "wait", wait)
        self._on_lost = on_lost
        self._acquisitions: dict[object, list[Acquisition]] = {}
        """By thread or task; several if it lost the lock in a block, and took it again there."""

    def __repr__(self) -> str:
        return f"<NamedLock {self.name!r}>"

    def ask(self, on_change: Callable[[], object]) -> Acquisition:
        """Ask for it without waiting; `on_change` is called in another thread after each change."""
        acquisition = Acquisition(
            self._keeper(), LockRequest(self.name, lambda _: on_change()), self._wait
        )
        acquisition.begin()
        return acquisition

    def __enter__(self) -> HeldLock:
        answered = threading.Event()
        acquisition = self._new_acquisition(answered.set)
        try:
            acquisition.begin()
            while (left := acquisition.left()) > 0:
                answered.wait(left)
                answered.clear()
            return self._enter(acquisition)
        except BaseException:
            self._forget(acquisition)
            raise

    def __exit__(self, *error: object) -> None:
        acquisition: Acquisition | None = None
        try:
            acquisition = self._innermost()
            self._forget(acquisition)
        except BaseException:
            # An exception came in the midst of it: one can't defeat both.
            self._forget(acquisition or self._innermost())
            raise
        freed = threading.Event()
        acquisition.request.freed.add_done_callback(lambda _: freed.set())
        freed.wait(acquisition.lease)

    async def __aenter__(self) -> HeldLock:
        import asyncio  # noqa: PLC0415  # a lazy door: producers in sync code never load it

        loop, answered = asyncio.get_running_loop(), asyncio.Event()
        acquisition = self._new_acquisition(lambda: _call_soon(loop, answered.set))
        try:
            acquisition.begin()
            while (left := acquisition.left()) > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(answered.wait(), left)
                answered.clear()
            return self._enter(acquisition)
        except BaseException:
            self._forget(acquisition)
            raise

    async def __aexit__(self, *error: object) -> None:
        import asyncio  # noqa: PLC0415  # as above

        acquisition = self._innermost()
        self._forget(acquisition)
        await asyncio.wait(
            [asyncio.wrap_future(acquisition.request.freed)], timeout=acquisition.lease
        )

    def _new_acquisition(self, answer: Callable[[], object]) -> Acquisition:
        owner, keeper = who_calls(), self._keeper()
        if keeper.is_owned_by(self.name, owner):
            why, remedy = "the caller holds it", "take it once, or in another thread or task"
            raise LockNotAcquired(self.name, why, remedy)

        def changed(request: LockRequest) -> None:
            answer()
            if request.state is LockState.LOST and self._on_lost is not None:
                in_thread(self._on_lost, self.name)

        return Acquisition(keeper, LockRequest(self.name, changed, owner), self._wait)

    def _forget(self, acquisition: Acquisition) -> None:
        """End an acquisition, however far it had come; harmless when done twice."""
        acquisition.end()
        mine = self._acquisitions.get(acquisition.request.owner, [])
        if acquisition in mine:
            mine.remove(acquisition)
            if not mine:
                self._acquisitions.pop(acquisition.request.owner, None)

    def _enter(self, acquisition: Acquisition) -> HeldLock:
        """Return the lock; raise if it was refused, or was waited for long enough."""
        request = acquisition.request
        if request.error is not None:
            raise request.error
        if request.fence == 0:
            why = "another holds it" if request.declined else "the store did not answer"
            raise LockNotAcquired(
                self.name,
                f"{why}, for {acquisition.waited():.1f} s",
                "try again later, or wait longer",
            )
        self._acquisitions.setdefault(request.owner, []).append(acquisition)
        return HeldLock(acquisition)

    def _innermost(self) -> Acquisition:
        """Return the acquisition of the block that ends here."""
        # It may end in another thread or task than it began in.
        owner = who_calls()
        if not self._acquisitions:
            raise NotRunning(f"lock {self.name!r} is held by no block; let `with` take it")
        if owner not in self._acquisitions:
            owner = next(reversed(self._acquisitions))
        return self._acquisitions[owner][-1]


class Acquisition:
    """A request for a lock with the time it has; `wait` in seconds, None: without end.

    It is made before the keeper knows of it, so that an exception finds it to be ended.
    """

    def __init__(self, keeper: LockKeeper, request: LockRequest, wait: float | None) -> None:
        self.request = request
        self.lease = keeper.lease
        self._keeper = keeper
        self._wait = float("inf") if wait is None else wait
        self._began = monotonic()

    def begin(self) -> None:
        """Ask for it."""
        self._keeper.request(self.request)

    @property
    def held(self) -> bool:
        """True from when it was granted until it is lost or ended."""
        return self.request.state is LockState.HELD and not self._keeper.lapsed()

    @property
    def lost(self) -> bool:
        """True once its lease was lost."""
        state = self.request.state
        return state is LockState.LOST or (state is LockState.HELD and self._keeper.lapsed())

    @property
    def fence(self) -> int:
        """A number above that of every earlier holder, once it was granted."""
        return self.request.fence

    @property
    def error(self) -> Exception | None:
        """The reason for which it will not be granted."""
        return self.request.error

    def waited(self) -> float:
        """Return the seconds since it began."""
        return monotonic() - self._began

    def left(self) -> float:
        """Return the seconds to wait on; 0: it was answered, or has waited long enough.

        The store has at least one chance to answer.
        """
        if self.request.state is not LockState.WAITING:
            return 0.0
        wait = self._wait if self.request.declined else max(self._wait, self.lease)
        return min(max(0.0, wait - self.waited()), LONGEST_SECONDS)

    def end(self) -> Future[None]:
        """End it, and return what is done once the store knows."""
        self._keeper.end(self.request)
        return self.request.freed


def in_thread(on_lost: Callable[[], object], name: str) -> None:
    """Call a function of the user's in a thread of its own: it may block, or want a lock itself."""
    thread = threading.Thread(
        target=call_guarded, args=(on_lost, name), name="mainspring-lock-lost", daemon=True
    )
    try:
        thread.start()
    except RuntimeError:
        # No more threads are to be had, or the process ends.
        log.exception("on_lost of lock %r could not be called", name)


def call_guarded(on_lost: Callable[[], object], name: str) -> None:
    """Call a function of the user's; the log tells what it raises."""
    try:
        on_lost()
    except Exception:
        log.exception("on_lost of lock %r raised", name)


def who_calls() -> object:
    """Return the task that runs here, or else the thread."""
    asyncio = sys.modules.get("asyncio")
    task = None
    if asyncio is not None:
        with suppress(RuntimeError):
            task = asyncio.current_task()
    return task or threading.get_ident()


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    # A loop that is closed has nobody who waits.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(callback)
