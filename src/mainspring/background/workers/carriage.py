"""Where the target of a background worker runs: its thread, the thread pool, a loop, a process."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mainspring.background.workers.target import importable
from mainspring.errors import InvalidOption
from mainspring.supervision.loops.post import Post
from mainspring.supervision.threads.driver import PoolDriver
from mainspring.supervision.workers.driver import Driver, ElsewhereDriver, ThreadDriver

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.background.supervisor.front import TaskSupervisor
    from mainspring.background.workers.options import Options
    from mainspring.background.workers.target import Target

call_numbers = itertools.count(1)


class CarriedWorker(Protocol):
    """What a carriage needs of a background worker."""

    isolated: bool
    awaited: bool

    @property
    def supervisor(self) -> TaskSupervisor:
        """Whose pools and loops it uses."""
        ...

    @property
    def borrows_threads(self) -> bool:
        """Whether a sync target runs in the thread pool instead of a thread of its own."""
        ...

    @property
    def judges(self) -> bool:
        """Whether it has a `process_result` of its own."""
        ...

    def unpack(self, function: Callable[..., Any], *, awaited: bool) -> Callable[..., Any]:
        """Return what takes the trigger's arguments and calls, or awaits, `function`."""
        ...

    def process_result(self, result: Any) -> Any:
        """Look at what the target returned; False ends the worker."""
        ...


@dataclass(frozen=True, slots=True)
class Carriage:
    """A driver, and the loop of an async target: who waits for it there waits for himself."""

    driver: Driver
    loop: asyncio.AbstractEventLoop | None = None
    foreign: bool = False  # the loop is the user's own

    @property
    def task(self) -> asyncio.Task[Any] | None:
        """The task that awaits an async target, once it has begun."""
        return self.driver.task if isinstance(self.driver, ElsewhereDriver) else None


def carriage_for(worker: CarriedWorker, target: Target, options: Options) -> Carriage:
    """Choose by what the target is. Raises `InvalidOption` for a loop that does not exist."""
    if worker.isolated:
        return _on_loop(worker, _in_process(worker, target, options.priority), options)
    if worker.awaited:
        return _on_loop(worker, target.bind(), options)
    return _in_thread(worker, target.bind(), options)


def _in_thread(worker: CarriedWorker, call: Callable[..., Any], options: Options) -> Carriage:
    if isinstance(options.loop, str):
        worker.supervisor.get_aloop(options.loop)  # it needs none, but the name must be right
    call = _judged(worker, worker.unpack(call, awaited=False))
    if not worker.borrows_threads:
        return Carriage(ThreadDriver(call))
    return Carriage(PoolDriver(call, worker.supervisor.threads, options.priority))


def _on_loop(worker: CarriedWorker, call: Callable[..., Any], options: Options) -> Carriage:
    call = _judged_later(worker, worker.unpack(call, awaited=True))
    given = options.loop
    if isinstance(given, asyncio.AbstractEventLoop):
        if given.is_closed():
            expected = "a loop that is not closed"
            raise InvalidOption("loop", given, owner=f"worker {options.name!r}", expected=expected)
        driver = ElsewhereDriver(call, Post(given).submit, foreign=given)
        return Carriage(driver, loop=given, foreign=True)
    aloop = worker.supervisor.running_aloop(given)
    return Carriage(ElsewhereDriver(call, aloop.spawn_coroutine_threadsafe), loop=aloop.get_loop())


def _in_process(worker: CarriedWorker, target: Target, priority: int) -> Callable[..., Any]:
    """Return what awaits a call in the process pool; `_task_id` is the call's own."""
    pool = worker.supervisor.mp_pool
    kwargs, takes_id = target.for_process()
    function = importable(worker, target.function)

    async def call(*lead: Any) -> Any:
        more = {"_task_id": f"{pool.name}_{next(call_numbers)}"} if takes_id else {}
        future = pool.submit_at(priority, function, *lead, *target.args, **kwargs, **more)
        return await asyncio.wrap_future(future)

    return call


def _judged(worker: CarriedWorker, call: Callable[..., Any]) -> Callable[..., Any]:
    if not worker.judges:
        return call

    def judged(*lead: Any) -> bool:
        result = call(*lead)
        return worker.process_result(result) is not False and result is not False

    return judged


def _judged_later(worker: CarriedWorker, call: Callable[..., Any]) -> Callable[..., Any]:
    if not worker.judges:
        return call

    async def judged(*lead: Any) -> bool:
        result = await call(*lead)
        return worker.process_result(result) is not False and result is not False

    return judged
