"""Drivers, which carry a worker's steps out: in a thread of its own, or on an event loop."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Protocol

from mainspring.clock import monotonic
from mainspring.errors import TargetNotAsync
from mainspring.supervision import forked
from mainspring.supervision.inside import belong_to
from mainspring.supervision.run_in_thread import in_own_thread
from mainspring.supervision.sleeper import LoopSleeper, ThreadSleeper

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from concurrent.futures import Future


FAIR_SHARE = 0.002
"""Seconds that one worker keeps a loop to itself when its target never waits."""

LOOK = 2.0
"""Seconds between two looks whether somebody else's loop is closed; all workers share the timer."""


class Steps(Protocol):
    """The steps of a worker, as its driver calls them; see `Worker`."""

    name: str
    owners: tuple[object, ...]
    running: bool

    @property
    def ending(self) -> bool:
        """True if no further run will begin."""
        ...

    def bind(self, wake: Callable[[], None]) -> None:
        """Set the function that ends the driver's sleep."""
        ...

    def pause(self, now: float) -> float | None:
        """Return the seconds until the next run, or None: not before a wake."""
        ...

    def begin(self, now: float, runner: int | None = None) -> tuple[object, ...] | None:
        """Return the arguments of a run that begins, or None: there is none."""
        ...

    def succeeded(self, result: object) -> None:
        """Record a run."""
        ...

    def failed(self, error: Exception) -> None:
        """Record a run that raised."""
        ...

    def cancelled(self, *, asked: bool = False) -> None:
        """Record a run that was cancelled."""
        ...

    def aborted(self, error: BaseException) -> None:
        """Record a run that asked for the end of the program."""
        ...

    def leave(self, runner: int) -> None:
        """Note that a thread is done with its run."""
        ...

    def lost(self, why: str) -> None:
        """Fail for good, since the driver can't go on."""
        ...

    def close(self) -> None:
        """Let no further run begin."""
        ...


class Driver(Protocol):
    """Carries the steps of a worker out until it is at its end."""

    async def drive(self, worker: Steps, started: Callable[[], None]) -> None:
        """Return when the worker is at its end and no run is under way."""
        ...

    def cancel_run(self) -> None:
        """Cancel the run under way, and no other, where that can be done; from any thread."""
        ...


class Sleeper(Protocol):
    """Sleeps of a thread of its own between two looks at its trigger."""

    def wake(self) -> None:
        """End the sleep, or the next one; from any thread."""
        ...

    def sleep(self, seconds: float | None) -> None:
        """Sleep so long at most, or until woken (None: until woken)."""
        ...


class ThreadDriver:
    """Runs a sync target in a thread that lives as long as the worker.

    `sleeper` is how it sleeps, if not on a lock: for a worker that a store wakes, too.
    """

    def __init__(self, target: Callable[..., object], *, sleeper: Sleeper | None = None) -> None:
        self._target = target
        self._sleeper = sleeper
        self._awake: Sleeper | None = None
        self._looked_at = 0.0

    def silence(self) -> float:
        """Return the seconds since its thread last looked whether to run; 0 if there is none."""
        return monotonic() - self._looked_at if self._awake is not None else 0.0

    def prod(self) -> None:
        """Let its thread look, and run only if it is due; from any thread."""
        if (sleeper := self._awake) is not None:
            sleeper.wake()

    async def drive(self, worker: Steps, started: Callable[[], None]) -> None:
        """Return when the worker is at its end and no run is under way."""
        sleeper = self._sleeper or ThreadSleeper()
        worker.bind(sleeper.wake)
        turns = partial(self._turn_until_over, worker, sleeper)
        await in_own_thread(turns, name=worker.name, began=started)

    def cancel_run(self) -> None:
        """Do nothing: a thread can't be interrupted."""

    def _turn_until_over(self, worker: Steps, sleeper: Sleeper) -> None:
        belong_to(worker.owners, worker)
        self._looked_at, self._awake = monotonic(), sleeper
        try:
            while not worker.ending:
                now = self._looked_at = monotonic()
                pause = worker.pause(now)
                if pause is None or pause > 0:
                    sleeper.sleep(pause)
                else:
                    run_once(worker, self._target, now)
        finally:
            self._awake = None


class LoopDriver:
    """Awaits an async target on the loop that it is driven on."""

    def __init__(self, target: Callable[..., Awaitable[object]]) -> None:
        self._target = target
        self.task: asyncio.Task[Any] | None = None
        """The task that drives, once it has begun."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runs = False
        self._cancels_run = False

    async def drive(self, worker: Steps, started: Callable[[], None]) -> None:
        """Return when the worker is at its end; cancelling cancels the run under way."""
        self.task = asyncio.current_task()
        belong_to(worker.owners, worker)
        self._loop = asyncio.get_running_loop()
        sleeper = LoopSleeper(self._loop)
        worker.bind(sleeper.wake)
        started()
        now = alone_since = monotonic()
        while not worker.ending:
            pause = worker.pause(now)
            if pause is None or pause > 0:
                await sleeper.sleep(pause, now)
                now = alone_since = monotonic()
                continue
            await self._run_once(worker, now)
            now = monotonic()
            if now - alone_since > FAIR_SHARE:
                await asyncio.sleep(0)
                now = alone_since = monotonic()

    def cancel_run(self) -> None:
        """Cancel the run under way, and not the drive; from any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._cancel_run)

    def _cancel_run(self) -> None:
        if self._runs and not self._cancels_run and self.task is not None:
            self._cancels_run = True
            self.task.cancel()

    def _uncancel(self) -> bool:
        """Return whether only the run was to be cancelled, and forget that."""
        only_run, self._cancels_run = self._cancels_run, False
        if only_run and self.task is not None:
            self.task.uncancel()
        return only_run

    async def _run_once(self, worker: Steps, now: float) -> None:
        arguments = worker.begin(now)
        if arguments is None:
            return
        self._runs, forks = True, forked.forks
        try:
            result = await self._target(*arguments)
        except BaseException as error:
            forked.end_if_forked(forks, error)
            if self._ended_by(error, worker):
                raise
        else:
            if forks != forked.forks:
                forked.end_forked()
            worker.succeeded(result)
        finally:
            self._runs = False
            if self._cancels_run:
                self._uncancel()

    def _ended_by(self, error: BaseException, worker: Steps) -> bool:
        """Record a run that raised; True: it is the end of the drive, too."""
        if isinstance(error, Exception):
            worker.failed(error)
        elif isinstance(error, asyncio.CancelledError):
            only_run = self._uncancel()
            asked = asked_to_cancel()
            worker.cancelled(asked=asked or only_run)
            return asked
        elif isinstance(error, GeneratorExit):
            # Python throws the coroutine away, since its loop was closed under it.
            return True
        else:
            worker.aborted(error)
        return False


class OtherLoopDriver:
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

    async def drive(self, worker: Steps, started: Callable[[], None]) -> None:
        """Return when the worker is at its end; cancelling cancels the run under way."""
        future = self._submit(self._inner.drive(worker, _nobody))
        started()
        try:
            await self._end_of(asyncio.wrap_future(future))
        except asyncio.CancelledError:
            if asked_to_cancel():
                self._give_up(worker)
                raise
            # It is no failure of the worker's, and its own loop can't be had again.
            worker.lost("its event loop ends, or somebody has cancelled its task there")
        self._give_up(worker)

    def cancel_run(self) -> None:
        """Cancel the run under way, and not the drive; from any thread."""
        self._inner.cancel_run()

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

    def _give_up(self, worker: Steps) -> None:
        if self._foreign is not None and not self._foreign.is_running():
            worker.lost("its event loop is closed")


async def _closing_of(loop: asyncio.AbstractEventLoop) -> None:
    """Wait until a loop is closed, which tells nobody."""
    sleeper = LoopSleeper(asyncio.get_running_loop())
    while not loop.is_closed():
        await sleeper.sleep(LOOK)


def _nobody() -> None:
    """Stand in for `started`, which belongs to the loop of the supervisor."""


def run_once(worker: Steps, target: Callable[..., object], now: float) -> None:
    """Run a sync target once, in this thread."""
    thread = threading.get_ident()
    try:
        arguments = worker.begin(now, thread)
        if arguments is None:
            return
        result = forked.called(target, arguments, {})
        if type(result) is CoroutineType:
            _refuse(result, worker.name)
    except Exception as error:  # noqa: BLE001  a worker's border: recorded by the worker
        worker.failed(error)
    except asyncio.CancelledError:
        worker.cancelled()
    except BaseException as error:  # noqa: BLE001  it would end the thread unseen
        worker.aborted(error)
    else:
        worker.succeeded(result)
    finally:
        worker.leave(thread)


def _refuse(result: CoroutineType[Any, Any, Any], name: str) -> None:
    """Fail a run that left a coroutine, of which no step would ever be taken."""
    result.close()
    raise TargetNotAsync(name)


def asked_to_cancel() -> bool:
    """Return whether this task was asked to cancel: if not, its body raised by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
