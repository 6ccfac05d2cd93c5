"""Background tasks: one call each, in the thread pool, the process pool or on a loop."""

from __future__ import annotations

import logging
import math
import uuid
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mainspring.clock import wall_clock
from mainspring.errors import InvalidOption, UnknownOption
from mainspring.model.number import is_number
from mainspring.model.signature import is_generator
from mainspring.supervision.threads.priority import TASK_NORMAL, check_priority
from mainspring.supervision.workers.worker import is_async

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mainspring.background.aloop import ALoop
    from mainspring.background.supervisor.front import TaskSupervisor
R = TypeVar("R")

log = logging.getLogger("mainspring.supervision")

TT_COROUTINE = "coroutine"
TT_THREAD = "thread"
TT_MP = "process"

TASK_TYPES = (TT_COROUTINE, TT_THREAD, TT_MP)


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """The options of a function's calls in the background; see `background_task`."""

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
        if self.callback is not None and not callable(self.callback):
            raise InvalidOption("callback", self.callback, owner=owner, expected="a function")

    def submit(self, task: BackgroundTask[Any], supervisor: TaskSupervisor) -> Future[Any]:
        """Start the call."""
        if self.tt == TT_COROUTINE:
            aloop = supervisor.running_aloop(self.loop)
            return aloop.spawn_coroutine_threadsafe(task.run_later())
        if self.tt == TT_MP:
            task.begin()
            return supervisor.mp_pool.submit_at(
                self.priority, self.function, *task.args, **task.kwargs
            )
        if supervisor.thread_pool is not supervisor.threads:
            # It may be one of processes, which could not take the task itself.
            task.begin()
            return supervisor.spawn(self.function, *task.args, **task.kwargs)
        return supervisor.spawn_at(self.priority, task.run)


class BackgroundTask(Generic[R]):
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
        """Its state."""
        if self.future.cancelled():
            return "cancelled"
        if self.future.done():
            return "completed" if self.future.exception() is None else "failed"
        if self.time_started is not None:
            return "started"
        return "delayed" if self.time_queued is None else "queued"

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

    def launch(self, supervisor: TaskSupervisor) -> None:
        """Start it, after its delay."""
        loop = supervisor.running_pools.control_loop
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
        self.time_started = wall_clock()

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
        self.time_queued = wall_clock()
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
            except BaseException:
                log.exception("callback of %r raised", self)
