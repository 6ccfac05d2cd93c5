"""A background worker that runs its target with each item of a queue."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

from mainspring.background.parcel import Parcel
from mainspring.background.worker import BackgroundWorker
from mainspring.errors import InvalidOption
from mainspring.supervision.backlog import Backlog, Items

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from mainspring.background.session import Session, StartArguments
    from mainspring.protocols import Trigger
    from mainspring.supervision.worker import WorkerStatus

P = ParamSpec("P")
R = TypeVar("R")


class BackgroundQueueWorker(BackgroundWorker[P, R]):
    """Runs its target with each item that is put, in order, one at a time.

    `queue` (or `q`) is True for an `asyncio.Queue`, or the class or an instance of another queue
    of `asyncio` or of the `queue` module; its `maxsize` pushes back.
    """

    kind: ClassVar[str] = "queue"
    own_options: ClassVar[tuple[str, ...]] = ("queue", "q")

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
        self._backlog = Backlog(_queue_of(queue if q is None else q, self.name), owner=self.name)

    @property
    def borrows_threads(self) -> bool:
        """Whether a sync target runs in the thread pool: it does."""
        return True

    def get_queue_obj(self) -> Any:
        """Return the queue."""
        return self._backlog.queue

    async def put(self, item: Any) -> None:
        """Put an item; wait for space in a bounded queue. Raises `NotRunning` after a stop."""
        await self._backlog.aput(item)

    def put_threadsafe(self, item: Any, timeout: float | None = None) -> Future[Any]:
        """Put an item from any thread; return a future of what the target makes of it.

        In a bounded queue it blocks up to `timeout` seconds for space (None: for ever), then
        raises `TimeoutError`. Raises `NotRunning` after a stop.
        """
        parcel = Parcel(item)
        self._backlog.offer(parcel, timeout)
        return parcel.future

    def stop(self, wait: float | bool = True, *, drain: bool = False) -> bool:  # noqa: FBT001, FBT002  the pages' signature
        """Stop it as every worker; with `drain` once it has finished what is queued."""
        session = self._session
        if drain and session is not None and session.active:
            self._drain(session)
            self._wait_for_end(session, wait)
        return super().stop(wait)

    async def astop(self, wait: float | bool = True, *, drain: bool = False) -> bool:  # noqa: FBT001, FBT002  as `stop`
        """Stop it from a coroutine; with `drain` once it has finished what is queued."""
        session = self._session
        if drain and session is not None and session.active:
            self._drain(session)
            await self._await_end(session, wait)
        return await super().astop(wait)

    def status(self) -> WorkerStatus:
        """Return what it is doing, and how many items wait; from any thread."""
        return replace(super().status(), queued=len(self._backlog))

    def before_queue_get(self) -> None:
        """Do something before an item is taken."""

    def after_queue_get(self, task: Any) -> None:
        """Do something with an item before the target gets it."""

    def make_trigger(self, start: StartArguments) -> Trigger:  # noqa: ARG002  the seam's signature
        """Return what fires for each item."""
        self._backlog.open()
        plain = BackgroundQueueWorker
        kind = type(self)
        hooked = (kind.before_queue_get, kind.after_queue_get) != (
            plain.before_queue_get,
            plain.after_queue_get,
        )
        return _HookedItems(self._backlog, self) if hooked else Items(self._backlog)

    def ask_end(self, session: Session) -> None:
        """Take no more items; those that are left wait for the next start."""
        self._backlog.shut()
        super().ask_end(session)

    def unpack(self, function: Callable[..., Any], *, awaited: bool) -> Callable[..., Any]:
        """Return what takes an item, and tells the result to who has put it."""
        return _unpack_later(function) if awaited else _unpack(function)

    def _drain(self, session: Session) -> None:
        self._backlog.shut()
        if isinstance(session.trigger, Items):
            session.trigger.drain()


class _HookedItems(Items):
    """Items with the hooks of their worker."""

    def __init__(self, backlog: Backlog, worker: BackgroundQueueWorker[Any, Any]) -> None:
        super().__init__(backlog)
        self._worker = worker

    def take(self, now: float) -> tuple[object, ...]:
        self._worker.before_queue_get()
        taken = super().take(now)
        item = taken[0].item if isinstance(taken[0], Parcel) else taken[0]
        self._worker.after_queue_get(item)
        return taken


def _unpack(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(item: Any) -> Any:
        if not isinstance(item, Parcel):
            return function(item)
        try:
            result = function(item.item)
        except BaseException as error:
            item.fail(error)
            raise
        item.settle(result)
        return result

    return run


def _unpack_later(function: Callable[..., Any]) -> Callable[..., Any]:
    async def run(item: Any) -> Any:
        if not isinstance(item, Parcel):
            return await function(item)
        try:
            result = await function(item.item)
        except BaseException as error:
            item.fail(error)
            raise
        item.settle(result)
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
