"""Background tasks: one call each, in the thread pool, the process pool or on a loop."""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import time
import uuid
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload

from mainspring.background.task_supervisor import TaskSupervisor, task_supervisor
from mainspring.errors import InvalidOption, UnknownOption
from mainspring.supervision.threads.priority import TASK_NORMAL
from mainspring.supervision.workers.worker import is_async

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from mainspring.background.aloop import ALoop

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("mainspring.supervision")

TT_COROUTINE = "coroutine"
TT_THREAD = "thread"
TT_MP = "process"

TASK_TYPES = (TT_COROUTINE, TT_THREAD, TT_MP)


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """How a function is called in the background; see `background_task`."""

    function: Callable[..., Any]
    tt: str
    priority: int = TASK_NORMAL
    delay: float | None = None
    loop: ALoop | str | None = None
    callback: Callable[[Any], object] | None = None

    @classmethod
    def of(cls, function: Callable[..., Any], options: Mapping[str, Any]) -> TaskPlan:
        """Check the options of `background_task`. Raises `InvalidOption`, `UnknownOption`."""
        owner = f"background_task({getattr(function, '__name__', function)})"
        known = tuple(one.name for one in fields(cls) if one.name != "function")
        for option in options:
            if option not in known:
                raise UnknownOption(option, owner=owner, known=known)
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
        if delay is not None and not (isinstance(delay, int | float) and 0 <= delay < math.inf):
            raise InvalidOption("delay", delay, owner=owner, expected="seconds, 0 or more")
        if not isinstance(self.priority, int):
            raise InvalidOption("priority", self.priority, owner=owner, expected="a whole number")
        if self.callback is not None and not callable(self.callback):
            raise InvalidOption("callback", self.callback, owner=owner, expected="a function")

    def submit(self, task: Task[Any], supervisor: TaskSupervisor) -> Future[Any]:
        """Start the call."""
        if self.tt == TT_COROUTINE:
            aloop = supervisor.running_aloop(self.loop)
            return aloop.spawn_coroutine_threadsafe(task.run_later())
        if self.tt == TT_MP:
            task.begin()
            return supervisor.mp_pool.submit(self.function, *task.args, **task.kwargs)
        if supervisor.thread_pool is not supervisor.threads:
            # It may be one of processes, which could not take the task itself.
            task.begin()
            return supervisor.spawn(self.function, *task.args, **task.kwargs)
        return supervisor.spawn_at(self.priority, task.run)


class Task(Generic[R]):
    """One call in the background.

    `status` is one of `delayed`, `queued`, `started`, `completed`, `failed`, `cancelled`. Times
    are `time.time()`.
    """

    def __init__(self, plan: TaskPlan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.id = str(uuid.uuid4())
        self.plan = plan
        self.args = args
        self.kwargs = kwargs
        self.future: Future[R] = Future()
        self.time_queued: float | None = None
        self.time_started: float | None = None
        self._inner: Future[Any] | None = None
        self.future.add_done_callback(self._pass_on_cancel)

    def __repr__(self) -> str:
        name = getattr(self.plan.function, "__name__", self.plan.function)
        return f"<Task {self.id} {name} {self.status}>"

    @property
    def priority(self) -> int:
        """Its priority in the thread pool."""
        return self.plan.priority

    @property
    def status(self) -> str:
        """What it is."""
        if self.future.cancelled():
            return "cancelled"
        if self.future.done():
            return "completed" if self.future.exception() is None else "failed"
        if self.time_started is not None:
            return "started"
        return "delayed" if self.time_queued is None else "queued"

    @property
    def result(self) -> R | None:
        """What the function returned; None until then, and if it raised."""
        return self.future.result() if self.status == "completed" else None

    @property
    def exception(self) -> BaseException | None:
        """What the function raised."""
        return self.future.exception() if self.status == "failed" else None

    def cancel(self) -> bool:
        """Cancel it unless it has begun (a coroutine: also then); return whether that worked."""
        return self.future.cancel() if self._inner is None else self._inner.cancel()

    def launch(self, supervisor: TaskSupervisor) -> None:
        """Start it, after its delay."""
        loop = supervisor.life.control_loop
        if not self.plan.delay or loop is None:
            self._queue(supervisor)
            return
        try:
            if self.plan.tt == TT_COROUTINE:
                # Here, since the control loop would wait for itself to start another one.
                supervisor.running_aloop(self.plan.loop)
            loop.call_soon_threadsafe(loop.call_later, self.plan.delay, self._queue, supervisor)
        except Exception as error:  # noqa: BLE001  told to who waits for it
            self._fail(error)

    def cancel_delay(self) -> None:
        """Cancel it if it has not been queued yet."""
        if self.time_queued is None:
            self.future.cancel()

    def begin(self) -> None:
        """Note that the call begins."""
        self.time_started = time.time()

    def run(self) -> Any:
        """Call the function."""
        self.begin()
        return self.plan.function(*self.args, **self.kwargs)

    async def run_later(self) -> Any:
        """Await the function."""
        self.begin()
        return await self.plan.function(*self.args, **self.kwargs)

    def _queue(self, supervisor: TaskSupervisor) -> None:
        if self.future.cancelled():
            return
        self.time_queued = time.time()
        try:
            self._inner = self.plan.submit(self, supervisor)
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
            self._call_back(inner.result())

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

    def _call_back(self, result: Any) -> None:
        if self.plan.callback is not None:
            try:
                self.plan.callback(result)
            except Exception:
                log.exception("callback of %r raised", self)


class TaskDecorator(Protocol):
    """Makes a function start tasks."""

    @overload
    def __call__(self, func: Callable[P, Coroutine[Any, Any, R]], /) -> Callable[P, Task[R]]: ...
    @overload
    def __call__(self, func: Callable[P, R], /) -> Callable[P, Task[R]]: ...
    def __call__(self, func: Any, /) -> Any:
        """Return what starts a task with its arguments."""
        ...


@overload
def background_task(
    func: Callable[P, Coroutine[Any, Any, R]], /, **options: Any
) -> Callable[P, Task[R]]: ...
@overload
def background_task(func: Callable[P, R], /, **options: Any) -> Callable[P, Task[R]]: ...
@overload
def background_task(func: None = None, /, **options: Any) -> TaskDecorator: ...


def background_task(
    func: Callable[..., Any] | None = None,
    /,
    *,
    supervisor: TaskSupervisor | None = None,
    **options: Any,
) -> Any:
    """Return a function that starts a task with its arguments, and returns the `Task`.

    Options: `priority`; `delay` in seconds; `tt`, which is `"thread"`, `"process"` or
    `"coroutine"` (an async function's own); `loop`, the name of an aloop; `callback`, which gets
    the result. Raises `InvalidOption`, `UnknownOption`.
    """
    if func is None:
        return functools.partial(background_task, supervisor=supervisor, **options)
    plan = TaskPlan.of(func, options)

    @functools.wraps(func)
    def start(*args: Any, **kwargs: Any) -> Task[Any]:
        return (supervisor or task_supervisor).put_task(Task(plan, args, kwargs))

    return start


@overload
def wait_completed(tasks: Task[R] | Future[R], timeout: float | None = None) -> R: ...
@overload
def wait_completed(
    tasks: Iterable[Task[R] | Future[R]], timeout: float | None = None
) -> list[R]: ...
def wait_completed(
    tasks: Task[Any] | Future[Any] | Iterable[Task[Any] | Future[Any]],
    timeout: float | None = None,
) -> Any:
    """Wait for a task, or for several; return the result, or the list of them in order.

    Raises what a task raised, `CancelledError` for a cancelled one, `TimeoutError` after `timeout`
    seconds altogether.
    """
    if isinstance(tasks, Task | Future):
        return _future_of(tasks).result(timeout)
    deadline = None if timeout is None else time.monotonic() + timeout
    return [
        _future_of(one).result(None if deadline is None else max(deadline - time.monotonic(), 0))
        for one in tasks
    ]


async def co_apply(
    function: Callable[..., R],
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    **options: Any,
) -> R:
    """Call a function in the thread pool from a coroutine, and return what it returns.

    Options: `priority`, `delay`, `supervisor`.
    """
    result: R = await _apply(function, args, kwargs or {}, {**options, "tt": TT_THREAD})
    return result


async def co_mp_apply(
    function: Callable[..., R],
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    **options: Any,
) -> R:
    """Call a function in the process pool from a coroutine, and return what it returns.

    Options: `priority`, `delay`, `supervisor`.
    """
    result: R = await _apply(function, args, kwargs or {}, {**options, "tt": TT_MP})
    return result


async def _apply(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    options: dict[str, Any],
) -> Any:
    supervisor = options.pop("supervisor", None) or task_supervisor
    task: Task[Any] = Task(TaskPlan.of(function, options), args, kwargs)
    supervisor.put_task(task)
    return await asyncio.wrap_future(task.future)


def _future_of(task: Task[Any] | Future[Any]) -> Future[Any]:
    return task.future if isinstance(task, Task) else task
