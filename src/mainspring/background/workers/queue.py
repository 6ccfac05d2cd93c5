"""A background worker that runs its target with each item of a queue."""

from __future__ import annotations

import asyncio
import inspect
import logging
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

from mainspring.background.workers.generics import P, R
from mainspring.background.workers.hooks import is_own
from mainspring.background.workers.queue_item import QueueItem, as_queue_item
from mainspring.background.workers.worker import BackgroundWorker
from mainspring.errors import InvalidOption
from mainspring.supervision.triggers.backlog import Backlog, Items

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.background.workers.options import StartArguments
    from mainspring.background.workers.worker_run import WorkerRun
    from mainspring.protocols import Trigger
    from mainspring.supervision.workers.status import WorkerStatus

log = logging.getLogger("mainspring.supervision")


class BackgroundQueueWorker(BackgroundWorker[P, R]):
    """Runs its target with each item that is put, in order, one at a time.

    `queue` (or `q`) is True for an `asyncio.Queue`, or the class or an instance of another queue
    of `asyncio` or of the `queue` module; its `maxsize` pushes back.
    """

    kind: ClassVar[str] = "queue"
    own_options: ClassVar[tuple[str, ...]] = ("queue", "q")
    borrows_threads: ClassVar[bool] = True

    def __init__(
        self,
        name: str | None = None,
        func: Callable[P, R] | None = None,
        *,
        queue: Any = True,
        q: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(name, func, **options)
        self.__backlog = Backlog(
            _queue_of(queue if q is None else q, self.name),
            owner=self.name,
            pack=as_queue_item,
            unpack=attrgetter("item"),
        )

    def get_queue_obj(self) -> Any:
        """Return the queue; items may be put straight into it, or taken out by hand.

        Its `join` waits until the target has been run with each; what is taken out by hand needs
        `task_done`.
        """
        return self.__backlog.queue

    async def put(self, item: Any) -> None:
        """Put an item; wait for space in a bounded queue. Raises `NotRunning` after a stop."""
        self.__warn_of_own_wait()
        await self.__backlog.aput(item)

    def put_threadsafe(self, item: Any, timeout: float | None = None) -> Future[R]:
        """Put an item from any thread; return a future of what the target makes of it.

        To cancel that future before its run begins cancels the item.
        In a bounded queue it blocks up to `timeout` seconds for space (None: for ever), then
        raises `TimeoutError`. Raises `NotRunning` after a stop.
        """
        if timeout is None and self.__backlog.bound:
            self.__warn_of_own_wait()
        future: Future[R] = Future()
        self.__backlog.offer(QueueItem(item, future), timeout)
        return future

    def stop(self, wait: float | bool = True, *, drain: bool = False) -> bool:  # noqa: FBT001, FBT002  the pages' signature
        """Stop it as every worker; with `drain` once it has finished what is queued.

        What a limited `wait` leaves no time for stays for the next start.
        """
        run = self._worker_run
        if not (drain and run is not None and run.active):
            return super().stop(wait)
        self.__drain(run)
        return run.wait(wait) or self.__cut_short(run, wait)

    async def astop(self, wait: float | bool = True, *, drain: bool = False) -> bool:  # noqa: FBT001, FBT002  as `stop`
        """Stop it from a coroutine; with `drain` once it has finished what is queued."""
        run = self._worker_run
        if not (drain and run is not None and run.active):
            return await super().astop(wait)
        self.__drain(run)
        return await run.await_end(wait) or self.__cut_short(run, wait)

    def status(self) -> WorkerStatus:
        """Return what it is doing, and how many items wait; from any thread."""
        return replace(super().status(), queued=len(self.__backlog))

    def reset_after_fork(self) -> None:
        """In a forked child: be stopped; what is queued is the parent's."""
        super().reset_after_fork()
        self.__backlog.forget()

    def before_queue_get(self) -> None:
        """Do something before an item is taken."""

    def after_queue_get(self, task: Any) -> None:
        """Do something with an item before the target gets it."""

    def make_trigger(self, start: StartArguments) -> Trigger:  # noqa: ARG002  the seam's signature
        """Return what fires for each item."""
        self.__backlog.open()
        hooked = is_own(self, BackgroundQueueWorker, "before_queue_get", "after_queue_get")
        return _HookedItems(self.__backlog, self) if hooked else _UncancelledItems(self.__backlog)

    def ask_end(self, run: WorkerRun) -> None:
        """Accept no more items; those that are left wait for the next start."""
        self.__backlog.shut()
        super().ask_end(run)

    def unpack(self, function: Callable[..., Any], *, awaited: bool) -> Callable[..., Any]:
        """Return what takes an item, and tells the result to who has put it."""
        return _unpack_later(function) if awaited else _unpack(function)

    def __warn_of_own_wait(self) -> None:
        """Say that the target is about to wait for space that only it makes."""
        if self.__backlog.full and (run := self._worker_run) is not None and run.is_here():
            log.warning(
                "worker %r waits in its own target for space in its queue, which only that target "
                "makes: it waits until it is stopped. Put with a timeout, or make it longer",
                self.name,
            )

    def __drain(self, run: WorkerRun) -> None:
        run.announce_end()
        self.__backlog.shut()
        if isinstance(run.trigger, Items):
            run.trigger.drain()

    def __cut_short(self, run: WorkerRun, wait: float | bool) -> bool:  # noqa: FBT001  as `stop`
        """After a wait with a limit: begin no further run."""
        if not isinstance(wait, bool):
            self.ask_end(run)
        return run.finished.done()


class _UncancelledItems(Items):
    """Items but those that were cancelled."""

    def take(self, now: float) -> tuple[object, ...] | None:
        """Return the next item."""
        taken: Any = super().take(now)
        if taken is None or taken[0].begin():
            return taken  # type: ignore[no-any-return]  # a queue item
        self.done(now)
        return None


class _HookedItems(_UncancelledItems):
    """Items with the hooks of their worker."""

    def __init__(self, backlog: Backlog, worker: BackgroundQueueWorker[Any, Any]) -> None:
        super().__init__(backlog)
        self._worker = worker

    def take(self, now: float) -> tuple[object, ...] | None:
        """Return the next item; one whose hook raises is taken too, as a failed run."""
        failure = _error_of(self._worker.before_queue_get)
        taken: Any = super().take(now)
        if taken is None:
            return None
        entry: QueueItem = taken[0]
        failure = failure or _error_of(partial(self._worker.after_queue_get, entry.item))
        if failure is not None:
            entry.fail(failure)
            raise failure
        return (entry,)


def _error_of(hook: Callable[[], object]) -> BaseException | None:
    try:
        hook()
    except BaseException as error:  # noqa: BLE001  raised again with the item in hand
        return error
    return None


def _unpack(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(entry: QueueItem) -> Any:
        try:
            result = function(entry.item)
        except BaseException as error:
            entry.fail(error)
            raise
        entry.settle(result)
        return result

    return run


def _unpack_later(function: Callable[..., Any]) -> Callable[..., Any]:
    async def run(entry: QueueItem) -> Any:
        try:
            result = await function(entry.item)
        except BaseException as error:
            entry.fail(error)
            raise
        entry.settle(result)
        return result

    return run


def _queue_of(queue: Any, owner: str) -> Any:
    if queue is True:
        return asyncio.Queue()
    if inspect.isclass(queue):
        queue = queue()
    if not hasattr(queue, "_put"):
        expected = "True, or a queue (or its class) of asyncio or of the queue module"
        raise InvalidOption("queue", queue, owner=f"worker {owner!r}", expected=expected)
    return queue
