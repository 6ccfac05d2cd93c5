"""A pool of threads with priorities and reserves; the arithmetic is in `priority`.

It is a `concurrent.futures.Executor`, but its threads are daemons, it knows the urgent from the
less urgent, and it goes on working after the main thread has ended.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import threading
from collections import Counter
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from mainspring.clock import monotonic
from mainspring.errors import NotRunning
from mainspring.model.user_frames import exc_info_of
from mainspring.supervision.forked import called
from mainspring.supervision.inside import belong_to
from mainspring.supervision.run_in_thread import stack_of
from mainspring.supervision.threads.idle_threads import IdleThreads
from mainspring.supervision.threads.priority import (
    NAMES,
    TASK_CRITICAL,
    TASK_NORMAL,
    PoolSizes,
    check_priority,
    level,
)
from mainspring.supervision.threads.priority import pool_sizes as sizes_of
from mainspring.supervision.threads.priority_queue import PriorityQueue
from mainspring.supervision.threads.reentrant_lock import ReentrantLock
from mainspring.supervision.threads.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

log = logging.getLogger("mainspring.supervision")

LAST_WAIT = 0.5
"""Seconds for threads to end once there is nothing left for them to do."""


@dataclass(frozen=True, slots=True)
class ThreadPoolStatus:
    """The sizes, threads and queued calls of a thread pool; `queued` by priority level."""

    size: int
    reserve_normal: int
    reserve_high: int
    threads: int
    busy: int
    queued: dict[str, int]


@dataclass(slots=True)
class PoolCall:
    """A function to call; `future` is None when nobody asks what comes of it."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    future: Future[Any] | None

    def make(self) -> None:
        """Call the function, unless its future was cancelled, and settle the future."""
        future = self.future
        try:
            if future is None:
                called(self.function, self.args, self.kwargs)
            elif future.set_running_or_notify_cancel():
                try:
                    result = called(self.function, self.args, self.kwargs)
                except BaseException as error:  # noqa: BLE001  told to who holds the future
                    future.set_exception(error)
                else:
                    future.set_result(result)
        except BaseException as error:
            # Also of a callback of the future: the thread must go on.
            text = "a call of %r in the thread pool raised"
            log.exception(text, self.function, exc_info=exc_info_of(error))


class PriorityThreadPool(Executor):
    """Threads that make calls, the most urgent first, as many at once as their priority may.

    Threads are started when they are needed. It takes calls from when it is made until `close`.
    While there are calls to be made later, one idle thread, the leader, sleeps to the first of
    their moments; when it is woken for anything, another takes its place.
    """

    def __init__(self, sizes: PoolSizes | None = None, *, name: str = "threads") -> None:
        self._name = name
        self._take_sizes(sizes or sizes_of())
        self._steps = ReentrantLock()
        self._lock = self._steps.lock
        self._queue: PriorityQueue[PoolCall] = PriorityQueue()
        self._numbers = itertools.count(1)
        self._timers = Timers()
        self._idle = IdleThreads()
        self._threads: set[threading.Thread] = set()
        self._retired: list[threading.Thread] = []  # about to end, if they have not yet
        self._busy = 0  # critical calls aside
        self._waking = 0  # threads that were woken or started and have not looked yet
        self._closed = False
        self._ended: Callable[[], object] = lambda: None

    @property
    def name(self) -> str:
        """The first part of the names of its threads."""
        return self._name

    def status(self) -> ThreadPoolStatus:
        """Return what it is doing."""
        with self._lock:
            queued: Counter[str] = Counter()
            for priority, count in self._queue.counts().items():
                queued[NAMES[level(priority)]] += count
            sizes, threads = self._sizes, len(self._threads)
            busy = threads - len(self._idle)
        return ThreadPoolStatus(
            sizes.size, sizes.reserve_normal, sizes.reserve_high, threads, busy, dict(queued)
        )

    def resize(self, sizes: PoolSizes) -> None:
        """Set other sizes, also while it works."""
        self._steps.take(self._resize, sizes)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Queue a call of normal priority. Raises `NotRunning` after `close`."""
        future: Future[T] = Future()
        self._push(TASK_NORMAL, PoolCall(fn, args, kwargs, future))
        return future

    def submit_at(
        self, priority: int, fn: Callable[..., T], /, *args: Any, **kwargs: Any
    ) -> Future[T]:
        """Queue a call; a lower priority number is more urgent.

        Raises `NotRunning` after `close`, `InvalidOption`.
        """
        future: Future[T] = Future()
        self._push(priority, PoolCall(fn, args, kwargs, future))
        return future

    def execute(self, priority: int, fn: Callable[[], object]) -> None:
        """Queue a call that nobody asks after; what it raises is logged. Raises `NotRunning`."""
        self._push(priority, PoolCall(fn, (), {}, None))

    def execute_at(self, moment: float, priority: int, fn: Callable[[], object]) -> None:
        """Queue such a call at a moment of `time.monotonic()`. Raises `NotRunning`."""
        self._check(priority)
        self._steps.take(self._plan, moment, priority, fn)

    def forget(self, moment: float, fn: Callable[[], object]) -> None:
        """Do not make a call that was to be queued at a moment; harmless once it was."""
        self._steps.take(self._timers.drop, moment, fn)

    async def run(self, started: Callable[[], None]) -> None:
        """Be a service: return when it was closed and has made its calls.

        Cancelling cancels the calls that wait, and leaves threads behind that do not end.
        """
        home = asyncio.get_running_loop()
        over = asyncio.Event()
        self._ended = lambda: home.call_soon_threadsafe(over.set)
        started()
        if self._is_over():
            return
        try:
            await over.wait()
        except asyncio.CancelledError:
            self.cancel_waiting()
            await asyncio.sleep(0)
            self.close()
            raise
        finally:
            self._leave_threads()

    def close(self) -> None:
        """Accept no more calls; those that wait are still made, at once."""
        self._steps.take(self._close)
        if self._is_over():
            self._report_ended()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  the executor's signature
        """Close as an executor does; `wait` waits for the threads, however long they take."""
        if cancel_futures:
            self.cancel_waiting()
        self.close()
        while wait and (threads := self._others()):
            threads[0].join()

    def join(self, timeout: float) -> list[threading.Thread]:
        """Wait for the threads, at most `timeout` seconds; return those that have not ended."""
        deadline, threads = monotonic() + timeout, self._others()
        for thread in threads:
            thread.join(max(deadline - monotonic(), 0))
        return [one for one in threads if one.is_alive()]

    def _take_sizes(self, sizes: PoolSizes) -> None:
        self._sizes = sizes
        self._limits = {priority: sizes.limit(priority) for priority in NAMES}

    def _resize(self, sizes: PoolSizes) -> None:
        self._take_sizes(sizes)
        for _ in range(sizes.keep - len(self._threads)):
            self._start_thread()
        self._call_for_hands()

    def _close(self) -> None:
        self._closed = True
        self._open_timers(math.inf)
        self._idle.wake_all()

    def _push(self, priority: int, call: PoolCall) -> None:
        if self._closed or type(priority) is not int:
            self._check(priority)
        self._steps.take(self._put, priority, call)

    def _put(self, priority: int, call: PoolCall) -> None:
        self._queue.put(priority, call)
        if not self._waking or priority <= TASK_CRITICAL:
            try:
                self._call_for_hands()
            except RuntimeError:  # no thread can be had, and whoever is told may ask again
                self._queue.drop_newest(priority)
                raise

    def _plan(self, moment: float, priority: int, fn: Callable[[], object]) -> None:
        self._timers.put(moment, priority, fn)
        if self._idle.wake_leader(sleeping_past=moment):
            self._waking += 1
        elif not self._waking:
            self._call_for_hands()

    def _check(self, priority: object) -> None:
        if self._closed:
            raise NotRunning(f"thread pool {self._name!r} is closed and takes no calls")
        # One that can't be sorted among the others would hold up all of them.
        check_priority(f"thread pool {self._name!r}", priority)

    def _call_for_hands(self) -> None:
        """Wake or start a thread if there is need; asked for unless one is on its way.

        A thread that takes a call looks whether there is another, and calls for hands again: so
        that a burst of calls does not wake every thread at once, to fight for the interpreter.
        """
        if not self._may_start() and (self._idle.leader or not self._timers.moments):
            return
        if self._idle.wake_one():
            self._waking += 1
        else:
            self._start_thread()

    def _open_timers(self, now: float) -> None:
        for priority, function in self._timers.take_due(now):
            self._queue.put(priority, PoolCall(function, (), {}, None))

    def _may_start(self) -> bool:
        waiting = self._queue.open
        if not waiting:
            return False
        priority = waiting[0]
        return self._busy < (self._limits.get(priority) or self._sizes.limit(priority))

    def _start_thread(self) -> None:
        thread = threading.Thread(
            target=self._work, name=f"{self._name}_{next(self._numbers)}", daemon=True
        )
        self._threads.add(thread)
        self._waking += 1
        try:
            thread.start()
        except BaseException as error:
            if not thread.is_alive():  # a Ctrl-C may come when it is
                self._threads.discard(thread)
                self._waking -= 1
            # Python 3.12 starts no thread once the main thread has ended: those there are do it.
            if not (isinstance(error, RuntimeError) and self._threads):
                raise

    def _work(self) -> None:
        belong_to((self,))
        gate = threading.Lock()
        gate.acquire()
        put_down, woken = 0, True
        try:
            while True:
                call, put_down = self._exchange(put_down, gate, woken=woken)
                woken = call is None
                if call is not None:
                    call.make()
                elif not self._sleep(gate):
                    return
                del call
        finally:
            self._retire()

    def _exchange(
        self, put_down: int, gate: threading.Lock, *, woken: bool
    ) -> tuple[PoolCall | None, int]:
        """Put a call down and take the next, and say what that one weighs.

        Where there is none, the thread is idle before anybody can look for one that is: who found
        none would start one too many.
        """
        with self._lock:
            self._busy -= put_down
            if woken and self._waking:
                self._waking -= 1
            if self._timers.moments and self._timers.moments[0] <= (now := monotonic()):
                self._open_timers(now)
            if not self._may_start():
                self._idle.add(gate, self._timers.moments)
                return None, 0
            weight = 1 if self._queue.open[0] > TASK_CRITICAL else 0
            call = self._queue.take()
            self._busy += weight
            if not self._waking and (self._queue.open or not self._idle.leader):
                self._call_for_hands()
            return call, weight

    def _sleep(self, gate: threading.Lock) -> bool:
        """Wait for a call; False: end this thread."""
        seconds = 0.0 if self._closed else self._idle.seconds(gate)
        return gate.acquire(timeout=seconds) or self._stay(gate)

    def _stay(self, gate: threading.Lock) -> bool:
        """After a sleep: stay to look at the timers, for a call, or if idle threads are kept."""
        with self._lock:
            if not self._idle.remove(gate):
                return True
            if self._may_start() or (self._timers.moments and not self._idle.leader):
                self._waking += 1
                return True
            return len(self._threads) <= self._sizes.keep and not self._closed

    def _retire(self) -> None:
        with self._lock:
            self._threads.discard(threading.current_thread())
            self._retired = [one for one in self._retired if one.is_alive()]
            self._retired.append(threading.current_thread())
            over = self._is_over()
        if over:
            self._report_ended()

    def _is_over(self) -> bool:
        with self._lock:
            return self._closed and not self._threads and not self._queue.open

    def _report_ended(self) -> None:
        # A loop that is closed has nobody who waits.
        with suppress(RuntimeError):
            self._ended()

    def cancel_waiting(self) -> None:
        """Cancel the calls that no thread has begun."""
        self._steps.take(self._cancel_waiting)

    def _cancel_waiting(self) -> None:
        futures = (call.future for call in self._queue.clear())
        self._cancel_each(iter([future for future in futures if future is not None]))

    def _cancel_each(self, futures: Iterator[Future[Any]]) -> None:
        try:
            for future in futures:
                future.cancel()
                future.set_running_or_notify_cancel()
        except BaseException:
            # An exit that a callback asks for must not leave the others waiting.
            self._cancel_each(futures)
            raise

    def _others(self) -> list[threading.Thread]:
        with self._lock:
            threads = [*self._threads, *(one for one in self._retired if one.is_alive())]
        return [one for one in threads if one is not threading.current_thread()]

    def _leave_threads(self) -> None:
        for thread in self.join(LAST_WAIT):
            log.warning("thread %r is left behind:\n%s", thread.name, stack_of(thread))
