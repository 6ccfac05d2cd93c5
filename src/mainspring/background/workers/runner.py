"""Runners of a background worker's target: a thread, the thread pool, a loop, a process."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from mainspring.background.workers.target import importable
from mainspring.errors import InvalidOption
from mainspring.supervision.loops.thread_calls import ThreadCalls
from mainspring.supervision.threads.driver import PoolDriver
from mainspring.supervision.workers.driver import Driver, OtherLoopDriver, ThreadDriver

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from mainspring.background.supervisor.front import TaskSupervisor
    from mainspring.background.workers.options import Options
    from mainspring.background.workers.target import Target

call_numbers = itertools.count(1)


class RunningWorker(Protocol):
    """A background worker, as its runner sees it."""

    isolated: bool
    awaited: bool
    borrows_threads: ClassVar[bool]

    @property
    def supervisor(self) -> TaskSupervisor:
        """The owner of the pools and loops that it uses."""
        ...

    @property
    def checks_result(self) -> bool:
        """True if it has a `process_result` of its own."""
        ...

    def unpack(self, function: Callable[..., Any], *, awaited: bool) -> Callable[..., Any]:
        """Return what takes the trigger's arguments and calls, or awaits, `function`."""
        ...

    def process_result(self, result: Any) -> Any:
        """Look at what the target returned; False ends the worker."""
        ...


@dataclass(frozen=True, slots=True)
class Runner:
    """A driver, and the loop of an async target."""

    driver: Driver
    loop: asyncio.AbstractEventLoop | None = None
    foreign: bool = False  # the loop is the user's own

    @property
    def task(self) -> asyncio.Task[Any] | None:
        """The task that awaits an async target, once it has begun."""
        return self.driver.task if isinstance(self.driver, OtherLoopDriver) else None

    def is_stranded(self) -> bool:
        """Return whether it is on a loop of the user's own that does not run, and can't end."""
        return self.foreign and self.loop is not None and not self.loop.is_running()


def runner_for(worker: RunningWorker, target: Target, options: Options) -> Runner:
    """Choose by what the target is. Raises `InvalidOption` for a loop that does not exist."""
    if worker.isolated and not target.alone:
        return _on_loop(worker, target, _in_process(worker, target, options.priority), options)
    if worker.awaited:
        return _on_loop(worker, target, target.bind(), options)
    if options.pool is not None:
        return _on_loop(worker, target, _in_pool(target, options.pool), options)
    return _in_thread(worker, target, options)


def _in_thread(worker: RunningWorker, target: Target, options: Options) -> Runner:
    supervisor, call = worker.supervisor, target.bind()
    if isinstance(options.loop, str):
        supervisor.get_aloop(options.loop)  # it needs none, but the name must be right
    if not target.alone:
        call = worker.unpack(call, awaited=False)
        if worker.checks_result:
            call = _checked(worker, call)
    if not worker.borrows_threads or target.alone:
        return Runner(ThreadDriver(call))
    return Runner(PoolDriver(call, supervisor.threads, options.priority))


def _on_loop(
    worker: RunningWorker, target: Target, call: Callable[..., Any], options: Options
) -> Runner:
    if not target.alone:
        call = worker.unpack(call, awaited=True)
        if worker.checks_result:
            call = _checked_later(worker, call)
    given = options.loop
    if isinstance(given, asyncio.AbstractEventLoop):
        if given.is_closed():
            expected = "a loop that is not closed"
            raise InvalidOption("loop", given, owner=f"worker {options.name!r}", expected=expected)
        driver = OtherLoopDriver(call, ThreadCalls(given).submit, foreign=given)
        return Runner(driver, loop=given, foreign=True)
    aloop = worker.supervisor.running_aloop(given)
    return Runner(OtherLoopDriver(call, aloop.spawn_coroutine_threadsafe), loop=aloop.get_loop())


def _in_process(worker: RunningWorker, target: Target, priority: int) -> Callable[..., Any]:
    """Return what awaits a call in the process pool; `_task_id` is the call's own."""
    supervisor = worker.supervisor
    kwargs, takes_id = target.for_process()
    function = importable(worker, target.function)
    supervisor.load_in_process(function)

    async def call(*lead: Any) -> Any:
        more = {"_task_id": f"{supervisor.id}_process_{next(call_numbers)}"} if takes_id else {}
        future = supervisor.submit_to_process(
            priority, function, *lead, *target.args, **kwargs, **more
        )
        return await asyncio.wrap_future(future)

    return call


def _in_pool(target: Target, pool: Executor) -> Callable[..., Any]:
    """Return what awaits a call in an executor of the user's own."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # a lazy door: few name one

    if isinstance(pool, ThreadPoolExecutor):
        function, args, kwargs = target.bind(), (), {}
    else:  # it may be one of processes, which can't take the worker along
        function, args, kwargs = target.function, target.args, target.for_process()[0]

    async def call(*lead: Any) -> Any:
        return await asyncio.wrap_future(pool.submit(function, *lead, *args, **kwargs))

    return call


def _checked(worker: RunningWorker, call: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*lead: Any) -> bool:
        result = call(*lead)
        return worker.process_result(result) is not False and result is not False

    return checked


def _checked_later(worker: RunningWorker, call: Callable[..., Any]) -> Callable[..., Any]:
    async def checked(*lead: Any) -> bool:
        result = await call(*lead)
        return worker.process_result(result) is not False and result is not False

    return checked
