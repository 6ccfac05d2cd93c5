"""Background tasks: one call each, in the thread pool, the process pool or on a loop."""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, fields
from enum import StrEnum
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from mainspring.background.undecorated import for_child
from mainspring.clock import monotonic, wall_clock
from mainspring.errors import InvalidOption, TargetNotAsync, UnknownOption
from mainspring.model.number import is_number
from mainspring.model.signature import is_generator
from mainspring.model.user_frames import exc_info_of
from mainspring.supervision.loops.thread_calls import ThreadCalls
from mainspring.supervision.threads.priority import TASK_NORMAL, check_priority
from mainspring.supervision.workers.worker import is_async

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mainspring.background.aloop import ALoop

R = TypeVar("R")

log = logging.getLogger("mainspring.supervision")

TT_COROUTINE = "coroutine"
TT_THREAD = "thread"
TT_MP = "process"

TASK_TYPES = (TT_COROUTINE, TT_THREAD, TT_MP)


class TaskState(StrEnum):
    """The state of a task: a word, which also equals the number that atasker has for it.

    A task that raised is `completed` there; here it is `failed`, and equals 200 as well.
    """

    DELAYED = "delayed"
    QUEUED = "queued"
    STARTED = "started"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def number(self) -> int:
        """The number: 0 queued, 2 delayed, 100 started, 200 ended, -1 cancelled."""
        return NUMBERS[self.value]

    def __eq__(self, other: object) -> bool:
        return self.number == other if isinstance(other, int) else str.__eq__(self, other)

    __hash__ = str.__hash__


NUMBERS = {
    "delayed": 2,
    "queued": 0,
    "started": 100,
    "completed": 200,
    "failed": 200,
    "cancelled": -1,
}


class TaskOwner(Protocol):
    """A supervisor, as its tasks see it."""

    @property
    def control_loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that runs no user's code."""
        ...

    def running_aloop(self, aloop: ALoop | str | None = None) -> ALoop:
        """Return a loop to run something on."""
        ...

    def submit_task(self, task: BackgroundTask[Any]) -> Future[Any]:
        """Call the task's function in a thread."""
        ...

    def submit_to_process(
        self, priority: int, function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Call a function in the process pool."""
        ...

    def note_launch(self, task: BackgroundTask[Any], late: float) -> None:
        """Note that a task begins, so many seconds after it was queued."""
        ...


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """The options of a function's calls in the background; see `background_task`."""

    function: Callable[..., Any]
    tt: str
    priority: int = TASK_NORMAL
    delay: float | None = None
    loop: ALoop | asyncio.AbstractEventLoop | str | None = None
    callback: Callable[[Any], object] | None = None
    name: str | None = None
    daemon: bool | None = None  # accepted: no thread of the pool keeps a process from its end

    @classmethod
    def of(cls, function: Callable[..., Any], options: Mapping[str, Any]) -> TaskPlan:
        """Check the options of `background_task`. Raises `InvalidOption`, `UnknownOption`."""
        owner = f"background_task({getattr(function, '__name__', function)})"
        known = tuple(one.name for one in fields(cls) if one.name != "function")
        for option in options:
            if option not in known:
                raise UnknownOption(option, owner=owner, known=known)
        if not callable(function):
            raise InvalidOption("func", function, owner=owner, expected="a function")
        if is_generator(function):
            expected = "a function without a yield, which would run nothing of it"
            raise InvalidOption("func", function, owner=owner, expected=expected)
        given = {name: value for name, value in options.items() if value is not None}
        awaited = is_async(function)
        tt = given.pop("tt", TT_COROUTINE if awaited else TT_THREAD)
        if tt not in TASK_TYPES or awaited != (tt == TT_COROUTINE):
            expected = "'coroutine' for an async function, else 'thread' or 'process'"
            raise InvalidOption("tt", tt, owner=owner, expected=expected)
        plan = cls(function, tt, **given)
        plan.check(owner)
        return plan

    def check(self, owner: str) -> None:
        """Raise `InvalidOption` for a value that makes no sense."""
        delay = self.delay
        if delay is not None and not (is_number(delay) and 0 <= delay < math.inf):
            raise InvalidOption("delay", delay, owner=owner, expected="seconds, 0 or more")
        check_priority(owner, self.priority)
        callback = self.callback
        if callback is not None and (not callable(callback) or is_async(callback)):
            expected = "a plain function: nobody would await it"
            raise InvalidOption("callback", callback, owner=owner, expected=expected)

    def submit(self, task: BackgroundTask[Any], owner: TaskOwner) -> Future[Any]:
        """Start the call."""
        if self.tt == TT_COROUTINE:
            if isinstance(self.loop, asyncio.AbstractEventLoop):
                return ThreadCalls(self.loop).submit(task.run_later())
            return owner.running_aloop(self.loop).spawn_coroutine_threadsafe(task.run_later())
        if self.tt == TT_MP:
            task.begin()
            function = for_child(self.function)
            return owner.submit_to_process(self.priority, function, *task.args, **task.kwargs)
        return owner.submit_task(task)


class BackgroundTask(Generic[R]):
    """One call in the background.

    `status` is one of `delayed`, `queued`, `started`, `completed`, `failed`, `cancelled`, and
    equals its number, too. Times are `time.time()`.
    """

    def __init__(
        self,
        plan: TaskPlan,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        task_id: str | None = None,
    ) -> None:
        self.id = str(uuid.uuid4()) if task_id is None else task_id
        self.plan = plan
        self.args = args
        self.kwargs = kwargs
        self.future: Future[R] = Future()
        self.time_queued: float | None = None
        self.time_started: float | None = None
        self._queued_at = 0.0  # by the clock that nobody sets
        self._inner: Future[Any] | None = None
        self._owner: TaskOwner | None = None
        self.future.add_done_callback(self._pass_on_cancel)
        self.future.add_done_callback(self._call_back)

    def __repr__(self) -> str:
        return f"<Task {self.id} {self.name} {self.status}>"

    @property
    def name(self) -> str:
        """The name it was given, or else its function's."""
        function = self.plan.function
        return self.plan.name or str(getattr(function, "__name__", function))

    @property
    def target(self) -> Callable[..., Any]:
        """The function that it calls."""
        return self.plan.function

    @property
    def tt(self) -> str:
        """Its type: `TT_THREAD`, `TT_MP` or `TT_COROUTINE`."""
        return self.plan.tt

    @property
    def delay(self) -> float | None:
        """The seconds that it waits before it is queued."""
        return self.plan.delay

    @property
    def priority(self) -> int:
        """Its priority in the thread pool."""
        return self.plan.priority

    @property
    def status(self) -> TaskState:
        """Its state."""
        if self.future.cancelled():
            return TaskState.CANCELLED
        if self.future.done():
            failed = self.future.exception() is not None
            return TaskState.FAILED if failed else TaskState.COMPLETED
        if self.time_started is not None:
            return TaskState.STARTED
        return TaskState.DELAYED if self.time_queued is None else TaskState.QUEUED

    def is_started(self) -> bool:
        """Return whether its call has begun."""
        return self.time_started is not None

    def is_completed(self) -> bool:
        """Return whether it has ended, however it ended."""
        return self.future.done()

    @property
    def result(self) -> R | None:
        """The result of the function; None until then, and if it raised."""
        return self.future.result() if self.status == "completed" else None

    @property
    def exception(self) -> BaseException | None:
        """The error that the function raised."""
        return self.future.exception() if self.status == "failed" else None

    def cancel(self) -> bool:
        """Cancel it unless it has begun (a coroutine: also then); return whether that worked."""
        return self.future.cancel() if self._inner is None else self._inner.cancel()

    def launch(self, owner: TaskOwner) -> None:
        """Start it, after its delay; once, for it is one call."""
        if self._owner is not None:
            return
        self._owner = owner
        loop = owner.control_loop
        if not self.plan.delay or loop is None:
            self._queue(owner)
            return
        try:
            if self.plan.tt == TT_COROUTINE and not isinstance(
                self.plan.loop, asyncio.AbstractEventLoop
            ):
                # Here, since the control loop would wait for itself to start another one.
                owner.running_aloop(self.plan.loop)
            loop.call_soon_threadsafe(self._wait, self.plan.delay, loop, owner)
        except Exception as error:  # noqa: BLE001  told to who waits for it
            self._fail(error)

    def cancel_delay(self) -> None:
        """Cancel it if it has not been queued yet."""
        if self.time_queued is None:
            self.future.cancel()

    def begin(self) -> None:
        """Note that the call begins."""
        self.time_started = wall_clock()
        if self._owner is not None:
            self._owner.note_launch(self, monotonic() - self._queued_at)

    def run(self) -> Any:
        """Call the function."""
        self.begin()
        result = self.plan.function(*self.args, **self.kwargs)
        if type(result) is CoroutineType:
            result.close()
            raise TargetNotAsync(self.name, noun="background task")
        return result

    async def run_later(self) -> Any:
        """Await the function."""
        self.begin()
        return await self.plan.function(*self.args, **self.kwargs)

    def _wait(self, delay: float, loop: asyncio.AbstractEventLoop, owner: TaskOwner) -> None:
        if not self.future.cancelled():
            timer = loop.call_later(delay, self._queue, owner)
            # Or it would keep the arguments of a cancelled task until the delay is over.
            self.future.add_done_callback(lambda done: _drop(timer, loop, done))

    def _queue(self, owner: TaskOwner) -> None:
        if self.future.cancelled():
            return
        self.time_queued, self._queued_at = wall_clock(), monotonic()
        try:
            self._inner = self.plan.submit(self, owner)
        except Exception as error:  # noqa: BLE001  told to who waits for it
            self._fail(error)
            return
        self._inner.add_done_callback(self._settle)
        if self.future.cancelled():
            self._inner.cancel()

    def _settle(self, inner: Future[Any]) -> None:
        if inner.cancelled():
            self.future.cancel()
        elif (error := inner.exception()) is not None:
            self._fail(error)
        else:
            # Who waited may have cancelled it, as a coroutine does that waits no longer.
            with suppress(InvalidStateError):
                self.future.set_result(inner.result())

    def _fail(self, error: BaseException) -> None:
        with suppress(InvalidStateError):
            self.future.set_exception(error)

    def _pass_on_cancel(self, future: Future[R]) -> None:
        if not future.cancelled():
            return
        # For who waits for several: only then does it count as done.
        future.set_running_or_notify_cancel()
        if self._inner is not None:
            self._inner.cancel()

    def _call_back(self, future: Future[Any]) -> None:
        callback = self.plan.callback
        if callback is None:
            return
        ended_well = not future.cancelled() and future.exception() is None
        try:
            callback(future.result() if ended_well else None)
        except BaseException as error:
            log.exception("callback of %r raised", self, exc_info=exc_info_of(error))


def _drop(timer: asyncio.TimerHandle, loop: asyncio.AbstractEventLoop, future: Future[Any]) -> None:
    with suppress(RuntimeError):  # the loop is closed, and its timers are gone
        if future.cancelled():
            loop.call_soon_threadsafe(timer.cancel)
