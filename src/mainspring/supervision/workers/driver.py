"""What carries a worker's steps out: a thread of its own, or a coroutine on an event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Protocol

from mainspring.errors import TargetNotAsync
from mainspring.supervision.own_thread import live_in_thread
from mainspring.supervision.sleeper import LoopSleeper, ThreadSleeper

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from concurrent.futures import Future

    from mainspring.supervision.workers.cycle import Cycle

FAIR_SHARE = 0.002
"""Seconds that one worker keeps a loop to itself when its target never waits."""

LOOK = 2.0
"""Seconds between two looks whether somebody else's loop is closed; all workers share the timer."""


class Driver(Protocol):
    """Carries the steps of a cycle out until it is over."""

    async def drive(self, cycle: Cycle, started: Callable[[], None]) -> None:
        """Return when the cycle is over and no run is under way."""
        ...


class Sleeper(Protocol):
    """How a thread of its own sleeps between two looks at its trigger."""

    def wake(self) -> None:
        """End the sleep, or the next one; from any thread."""
        ...

    def sleep(self, seconds: float | None) -> None:
        """Sleep so long at most, or until woken (None: until woken)."""
        ...


class ThreadDriver:
    """Runs a sync target in a thread that lives as long as the worker.

    `sleeper` is how it sleeps, if not on a lock: for a worker that hears from elsewhere, too.
    """

    def __init__(self, target: Callable[..., object], *, sleeper: Sleeper | None = None) -> None:
        self._target = target
        self._sleeper = sleeper

    async def drive(self, cycle: Cycle, started: Callable[[], None]) -> None:
        """Return when the cycle is over and no run is under way."""
        sleeper = self._sleeper or ThreadSleeper()
        cycle.trigger.bind(sleeper.wake)
        await live_in_thread(
            lambda: self._turn_until_over(cycle, sleeper), name=cycle.name, began=started
        )

    def _turn_until_over(self, cycle: Cycle, sleeper: Sleeper) -> None:
        while not cycle.over:
            now = time.monotonic()
            pause = cycle.pause(now)
            if pause is None or pause > 0:
                sleeper.sleep(pause)
            else:
                run_once(cycle, self._target, now)


class LoopDriver:
    """Awaits an async target on the loop that it is driven on."""

    def __init__(self, target: Callable[..., Awaitable[object]]) -> None:
        self._target = target
        self.task: asyncio.Task[Any] | None = None
        """The task that drives, once it has begun."""

    async def drive(self, cycle: Cycle, started: Callable[[], None]) -> None:
        """Return when the cycle is over; cancelling cancels the run under way."""
        self.task = asyncio.current_task()
        sleeper = LoopSleeper(asyncio.get_running_loop())
        cycle.trigger.bind(sleeper.wake)
        started()
        now = alone_since = time.monotonic()
        while not cycle.over:
            pause = cycle.pause(now)
            if pause is None or pause > 0:
                await sleeper.sleep(pause, now)
                now = alone_since = time.monotonic()
                continue
            await self._run_once(cycle, now)
            now = time.monotonic()
            if now - alone_since > FAIR_SHARE:
                await asyncio.sleep(0)
                now = alone_since = time.monotonic()

    async def _run_once(self, cycle: Cycle, now: float) -> None:
        arguments = cycle.begin(now)
        if arguments is None:
            return
        try:
            result = await self._target(*arguments)
        except Exception as error:  # noqa: BLE001  a worker's border: recorded by the cycle
            cycle.failed(error)
        except asyncio.CancelledError:
            asked = asked_to_cancel()
            cycle.cancelled(asked=asked)
            if asked:
                raise
        except GeneratorExit:
            # Python throws the coroutine away, since its loop was closed under it.
            raise
        except BaseException as error:  # noqa: BLE001  it must not end the loop
            cycle.aborted(error)
        else:
            cycle.succeeded(result)


class ElsewhereDriver:
    """Awaits an async target on a loop of another thread.

    `foreign` is that loop if somebody else owns it, who may close it without a word.
    """

    def __init__(
        self,
        target: Callable[..., Awaitable[object]],
        submit: Callable[[Coroutine[Any, Any, None]], Future[None]],
        *,
        foreign: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._inner = LoopDriver(target)
        self._submit = submit
        self._foreign = foreign

    @property
    def task(self) -> asyncio.Task[Any] | None:
        """The task on the other loop that awaits the target, once it has begun."""
        return self._inner.task

    async def drive(self, cycle: Cycle, started: Callable[[], None]) -> None:
        """Return when the cycle is over; cancelling cancels the run under way."""
        future = self._submit(self._inner.drive(cycle, _nobody))
        started()
        try:
            await self._end_of(asyncio.wrap_future(future))
        except asyncio.CancelledError:
            if asked_to_cancel():
                self._give_up(cycle)
                raise
            # It is no failure of the worker's, and its own loop can't be had again.
            cycle.lost("its event loop ends, or somebody has cancelled its task there")
        self._give_up(cycle)

    async def _end_of(self, drive: asyncio.Future[None]) -> None:
        """Wait for the end of the drive, or of a loop of somebody else."""
        if self._foreign is None:
            await drive
            return
        closed = asyncio.ensure_future(_closing_of(self._foreign))
        try:
            await asyncio.wait([drive, closed], return_when=asyncio.FIRST_COMPLETED)
            if drive.done():
                drive.result()
        finally:
            closed.cancel()
            drive.cancel()

    def _give_up(self, cycle: Cycle) -> None:
        if self._foreign is not None and not self._foreign.is_running():
            cycle.lost("its event loop is closed")


async def _closing_of(loop: asyncio.AbstractEventLoop) -> None:
    """Wait until a loop is closed, which tells nobody."""
    sleeper = LoopSleeper(asyncio.get_running_loop())
    while not loop.is_closed():
        await sleeper.sleep(LOOK)


def _nobody() -> None:
    """Stand in for `started`, which belongs to the loop of the supervisor."""


def run_once(cycle: Cycle, target: Callable[..., object], now: float) -> None:
    """Run a sync target once, in this thread."""
    thread = threading.get_ident()
    try:
        arguments = cycle.begin(now, thread)
        if arguments is None:
            return
        result = target(*arguments)
        if type(result) is CoroutineType:
            _refuse(result, cycle.name)
    except Exception as error:  # noqa: BLE001  a worker's border: recorded by the cycle
        cycle.failed(error)
    except asyncio.CancelledError:
        cycle.cancelled()
    except BaseException as error:  # noqa: BLE001  it would end the thread unseen
        cycle.aborted(error)
    else:
        cycle.succeeded(result)
    finally:
        cycle.leave(thread)


def _refuse(result: CoroutineType[Any, Any, Any], name: str) -> None:
    """Fail a run that left a coroutine, of which no step would ever be taken."""
    result.close()
    raise TargetNotAsync(name)


def asked_to_cancel() -> bool:
    """Tell a cancellation of this task from one that its body raised by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
