"""A pool of child processes that survives the death of each of them.

It is the front of the free children (which may be asked next), the child supervisor (starts and
replaces them) and the submissions (futures); it knows nothing of jobs. The standard library's pool
is dead after one child has died; here a child's death costs its own call, and a spare takes its
place.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import WeakSet

from mainspring.errors import AlreadyRunning, InvalidOption, NotRunning, UnguardedMain
from mainspring.processes import main as process_main
from mainspring.processes.call import label_of, pack_call, pack_startup, unpack_result
from mainspring.processes.child import ChildGone, ChildPlan, Request
from mainspring.processes.child_supervisor import ChildSupervisor
from mainspring.processes.frame import CALL, REQUEST
from mainspring.processes.free_children import ChildTurn, FreeChildren
from mainspring.processes.submissions import Submission, Submissions
from mainspring.supervision.threads.priority import TASK_NORMAL, PoolSizes

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from concurrent.futures import Future

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """The sizes of a process pool, and what it is doing in counts of children and calls."""

    size: int
    reserve_normal: int
    reserve_high: int
    ready: int
    busy: int
    starting: int
    waiting: int
    deaths: int
    failed_starts: int
    last_failure: str | None


class ProcessPool:
    """Runs calls in `size` child processes at once, with `spare` more ready to take a place.

    Calls of normal priority may also use `reserve_normal` children, more urgent ones those and
    `reserve_high`; a critical one takes a spare, too, or else the first child that is free.

    It starts with its first call, or by `start()`: all children, or with `eager` so many, and
    others as calls ask for them. All methods may be called from any thread.
    `handler` answers `request`; it, `initializer` and `initargs` must be picklable. A child is
    replaced after `max_tasks_per_child` calls, or once more than `max_memory_per_child_bytes` are
    resident after a call (where the system tells only the peak, that counts). An `initializer`
    has a minute. `grace`: seconds that `close` gives to the calls it finds. A pool runs once.
    Errors: InvalidOption, TaskNotImportable, InvalidArguments.
    """

    def __init__(  # noqa: PLR0913  # a front door: each is an option of its own
        self,
        size: int,
        *,
        reserve_normal: int = 0,
        reserve_high: int = 0,
        spare: int = 1,
        eager: int | None = None,
        handler: Callable[[bytes], bytes] | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[object, ...] = (),
        name: str = "processes",
        max_tasks_per_child: int | None = None,
        max_memory_per_child_bytes: int | None = None,
        grace: float = 5.0,
    ) -> None:
        _check_at_least(1, size=size, max_tasks_per_child=max_tasks_per_child)
        _check_at_least(1, max_memory_per_child_bytes=max_memory_per_child_bytes)
        _check_at_least(0, spare=spare, eager=eager, grace=grace)
        _check_at_least(0, reserve_normal=reserve_normal, reserve_high=reserve_high)
        self._sizes = PoolSizes(size, reserve_normal, reserve_high)
        self._most = self._sizes.total + spare
        self._eager = self._most if eager is None else eager
        self._name = name
        self._grace = grace
        self._handles = handler is not None
        self._lock = threading.RLock()  # close() may come from a signal handler
        self._started = False
        self._closed = False
        self._ran = False
        self._ended = False
        self._listeners: list[Callable[[], object]] = []
        # Turns of `request` and `call`. Each change, and the look at all, is one step.
        self._outstanding: set[ChildTurn] = set()
        self._supervisor = ChildSupervisor(
            ChildPlan(
                name, pack_startup(handler, initializer, initargs), max_memory_per_child_bytes
            ),
            population=self._population,
            idle=self._is_idle,
            on_end=self._end,
        )
        self._free = FreeChildren(
            name, self._sizes, max_tasks=max_tasks_per_child, dismiss=self._supervisor.dismiss
        )
        self._submissions = Submissions(
            name, self._sizes, run=self._run_submission, on_end=self._nudge
        )

    @property
    def name(self) -> str:
        """Its name in errors, threads and the process list."""
        return self._name

    def start(self) -> None:
        """Begin to start children, unless begun; errors: NotRunning (closed), UnguardedMain."""
        with self._lock:
            if self._closed:
                raise NotRunning(f"process pool {self._name!r} is closed; make another one")
            if self._started:
                return
            if process_main.is_loading():
                raise UnguardedMain
            self._supervisor.start(self._free)
            _pools.add(self)
            self._started = True
            if self._closed:  # by a signal handler in the middle of this
                self._supervisor.close(0)

    def request(  # noqa: PLR0913  # as of the class
        self,
        payload: bytes,
        *,
        label: str = "request",
        timeout: float | None = None,
        key: Hashable = None,
        on_note: Callable[[bytes], object] | None = None,
        warm_up: tuple[Hashable, bytes] | None = None,
        on_begin: Callable[[], object] | None = None,
    ) -> bytes:
        """Have the handler answer `payload` in a child, and return its reply.

        `timeout`: seconds from the moment a child takes it, then that child is killed; a warm-up
        comes before them, and has a minute if they are fewer. `key` names
        the call for `kill`. `on_note` gets the notes that the handler sends by `program.send_note`.
        `warm_up` and `on_begin`: see `Request`.
        Raises what the handler raised, AttemptTimeout, ChildDied, ChildStartFailed, NotRunning.
        """
        if not self._handles:
            why, remedy = "does not let it answer requests", "make the pool with a handler"
            raise InvalidOption("handler", None, owner=self._name, why=why, remedy=remedy)
        self._admit(timeout)
        request = Request(REQUEST, payload, label, timeout, on_note, warm_up, on_begin)
        return self._ask_for_child(request, ChildTurn(key))

    def call(
        self,
        function: Callable[..., R],
        *args: object,
        timeout: float | None = None,
        key: Hashable = None,
    ) -> R:
        """Run a function in a child, and return its result; options and errors as of `request`.

        Also raises TaskNotImportable and InvalidArguments for what can't be pickled,
        UnstorableResult for such a result, ChildRaised for such an error.
        """
        packed = pack_call(function, args, {})
        self._admit(timeout)
        request = Request(CALL, packed, label_of(function), timeout)
        reply = self._ask_for_child(request, ChildTurn(key))
        result: R = unpack_result(reply)
        return result

    def submit(self, function: Callable[..., R], /, *args: object, **kwargs: object) -> Future[R]:
        """Put a call of normal priority in line; see `submit_at`."""
        return self.submit_at(TASK_NORMAL, function, *args, **kwargs)

    def submit_at(
        self, priority: int, function: Callable[..., R], /, *args: object, **kwargs: object
    ) -> Future[R]:
        """Put a call in line; the future, once running, is the key that `kill` takes.

        A lower priority number is more urgent. What can't be pickled raises here, and
        `InvalidOption`; other errors as of `call` are the future's.
        """
        packed = pack_call(function, args, kwargs)
        self._admit(None)
        future: Future[R] = self._submissions.submit(label_of(function), packed, priority)
        if self._eager < self._most:
            self._supervisor.wake()
        return future

    def kill(self, key: Hashable) -> bool:
        """Kill the children that run calls of that key; False if none runs now."""
        return self._free.kill(key)

    def stack_of(self, key: Hashable) -> str | None:
        """Return the stack of the child that runs a call of that key, as text.

        None if none runs it (any more), "" if the child does not answer within a second.
        """
        child = self._free.running(key)
        stack = None if child is None else child.stack() or ""
        return stack if self._free.running(key) is child else None

    def announce_stop(self) -> None:
        """Let bodies in the children learn that the end is near: `parent_watch.stop_asked`."""
        with self._lock:
            if self._started:
                self._supervisor.announce_stop()

    def withdraw(self, key: Hashable) -> bool:
        """End the wait of calls of that key for a child, with NotRunning; False if none waits."""
        return self._free.withdraw(key)

    def interrupt(self) -> int:
        """Kill every child that runs a call; return how many."""
        return self._free.kill_busy()

    def status(self) -> PoolStatus:
        """Return what it is doing."""
        ready, busy, waiting = self._free.counts()
        supervisor = self._supervisor
        sizes = self._sizes
        return PoolStatus(
            size=sizes.size,
            reserve_normal=sizes.reserve_normal,
            reserve_high=sizes.reserve_high,
            ready=ready,
            busy=busy,
            starting=supervisor.starting,
            waiting=waiting + self._submissions.queued,
            deaths=supervisor.deaths,
            failed_starts=supervisor.failed_starts,
            last_failure=supervisor.last_failure,
        )

    def close(self, grace: float | None = None) -> None:
        """Ask to end: refuse new calls, give the others `grace` seconds, then kill.

        Harmless at any time, in any state, any number of times; the shortest grace holds.
        """
        with self._lock:
            self._closed = True
            if not self._started:
                self._ended = True
            elif not self._ended:
                self._supervisor.close(self._grace if grace is None else grace)

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end that `close` asked for; False if it takes longer than `timeout` seconds.

        The end takes the grace, and at most three seconds more.
        """
        return self._supervisor.join(timeout) if self._started else self._closed

    async def run(self, started: Callable[[], None]) -> None:
        """Live until closed (see `Service`); cancelling it kills what runs."""
        import asyncio  # noqa: PLC0415  # whoever awaits this has it; other callers need not pay

        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        self._begin_run()
        self._listen(lambda: loop.call_soon_threadsafe(ended.set))
        started()
        try:
            await ended.wait()
        except BaseException:
            self.close(0)
            raise
        self.join()  # its thread is at its last statement

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
        self.join()

    def _admit(self, timeout: float | None) -> None:
        if timeout is not None and timeout <= 0:
            raise InvalidOption("timeout", timeout, owner=self._name, expected="more than 0")
        if self._closed or not self._started:
            self.start()

    def _ask_for_child(self, request: Request, turn: ChildTurn) -> bytes:
        """Ask, and let a child be started for it, if not all are from the beginning."""
        if self._eager >= self._most:
            return self._ask(request, turn)
        try:
            self._outstanding.add(turn)
            self._supervisor.wake()
            return self._ask(request, turn)
        finally:
            self._outstanding.discard(turn)

    def _ask(self, request: Request, turn: ChildTurn) -> bytes:
        losses = 0
        while True:
            try:
                child = self._free.take(turn)
                try:
                    return child.run(request)
                except ChildGone:
                    # It had not begun. So many can't have ended before: the request is what ends
                    # them, as one does that is too large for their memory.
                    losses += 1
                    if losses > self._most:
                        raise child.death(request) from None
            finally:
                try:
                    self._free.give_back(turn)
                except BaseException:
                    # An exception came in the midst of it: one can't defeat both.
                    self._free.give_back(turn)
                    raise
                self._nudge()

    def _run_submission(self, submission: Submission) -> Any:
        request = Request(CALL, submission.request, submission.label)
        turn = ChildTurn(submission.future, submission.priority)
        return unpack_result(self._ask(request, turn))

    def _population(self) -> int:
        outstanding = len(self._outstanding) + self._submissions.outstanding
        return min(self._most, self._eager + outstanding)

    def _is_idle(self) -> bool:
        _, busy, waiting = self._free.counts()
        return not (busy or waiting or self._submissions.outstanding)

    def _nudge(self) -> None:
        # The supervisor waits for the last call only while it closes.
        if self._closed:
            self._supervisor.wake()

    def _begin_run(self) -> None:
        with self._lock:
            if self._ran and not self._ended:
                raise AlreadyRunning("process pool", self._name)
            self._ran = True
            if not self._closed:
                self.start()

    def _listen(self, listener: Callable[[], object]) -> None:
        with self._lock:
            self._listeners.append(listener)
            if not self._ended:
                return
        listener()

    def _end(self) -> None:
        self._submissions.close()
        self._submissions.join(1.0)
        _pools.discard(self)
        with self._lock:
            self._closed = self._ended = True
        for listener in self._listeners:
            with suppress(RuntimeError):  # its loop is closed already
                listener()

    def _abandon(self) -> None:
        self._lock = threading.RLock()
        self._closed = self._ended = True
        self._free.abandon()
        self._supervisor.abandon()


_pools: WeakSet[ProcessPool] = WeakSet()


def _abandon_all() -> None:
    # A forked copy of this process must neither talk to its children nor keep them alive.
    for pool in list(_pools):
        pool._abandon()  # noqa: SLF001  # the module's own
    _pools.clear()


os.register_at_fork(after_in_child=_abandon_all)


def _check_at_least(minimum: int, **options: float | None) -> None:
    for option, value in options.items():
        if value is not None and value < minimum:
            raise InvalidOption(option, value, owner="ProcessPool", expected=f"{minimum} or more")
