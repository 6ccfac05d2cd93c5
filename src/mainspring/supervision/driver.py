"""What carries a worker's steps out: a thread of its own, or a coroutine on an event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from mainspring.supervision.own_thread import live_in_thread
from mainspring.supervision.sleeper import LoopSleeper, ThreadSleeper

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from concurrent.futures import Future

    from mainspring.supervision.cycle import Cycle

FAIR_SHARE = 0.002
"""Seconds that one worker keeps a loop to itself when its target never waits."""


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

    async def drive(self, cycle: Cycle, started: Callable[[], None]) -> None:
        """Return when the cycle is over; cancelling cancels the run under way."""
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
            cycle.cancelled()
            if asked_to_cancel():
                raise
        except BaseException as error:  # noqa: BLE001  it must not end the loop
            cycle.aborted(error)
        else:
            cycle.succeeded(result)


class ElsewhereDriver:
    """Awaits an async target on a loop of another thread."""

    def __init__(
        self,
        target: Callable[..., Awaitable[object]],
        submit: Callable[[Coroutine[Any, Any, None]], Future[None]],
    ) -> None:
        self._inner = LoopDriver(target)
        self._submit = submit

    async def drive(self, cycle: Cycle, started: Callable[[], None]) -> None:
        """Return when the cycle is over; cancelling cancels the run under way."""
        future = self._submit(self._inner.drive(cycle, _nobody))
        started()
        try:
            await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            # The loop may be ended before its workers have; that is no failure of theirs.
            if asked_to_cancel() or not cycle.over:
                raise


def _nobody() -> None:
    """Stand in for `started`, which belongs to the loop of the supervisor."""


def run_once(cycle: Cycle, target: Callable[..., object], now: float) -> None:
    """Run a sync target once, in this thread."""
    thread = threading.get_ident()
    try:
        arguments = cycle.begin(now, thread)
        if arguments is not None:
            _call(cycle, target, arguments)
    finally:
        cycle.leave(thread)


def _call(cycle: Cycle, target: Callable[..., object], arguments: tuple[object, ...]) -> None:
    try:
        result = target(*arguments)
    except Exception as error:  # noqa: BLE001  a worker's border: recorded by the cycle
        cycle.failed(error)
    except asyncio.CancelledError:
        cycle.cancelled()
    except BaseException as error:  # noqa: BLE001  it would end the thread unseen
        cycle.aborted(error)
    else:
        cycle.succeeded(result)


def asked_to_cancel() -> bool:
    """Tell a cancellation of this task from one that its body raised by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
