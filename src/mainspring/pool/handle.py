"""A task in the caller's hand: what `submit` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mainspring.pool.record import TaskInfo

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Generator

    from mainspring.model.job import JobState
    from mainspring.pool.lifetime import PoolLifetime
    from mainspring.pool.record import Record

R = TypeVar("R")


class TaskHandle(Generic[R]):
    """A task that was submitted: `await` it for its result. For the pool's own loop.

    It knows its task for as long as it lives, also when the pool has forgotten it.
    """

    __slots__ = ("_lifetime", "_record")

    def __init__(self, record: Record, lifetime: PoolLifetime) -> None:
        self._record = record
        self._lifetime = lifetime

    def __repr__(self) -> str:
        return f"<TaskHandle {self.id} of {self.task}: {self.status}>"

    @property
    def id(self) -> str:
        """The task's id."""
        return self._record.id

    @property
    def task(self) -> str:
        """The task's name."""
        return self._record.task

    @property
    def status(self) -> JobState:
        """Its state now."""
        return self._record.state

    @property
    def progress(self) -> float:
        """Progress that the body last reported, from 0 to 1."""
        return self._record.progress

    @property
    def info(self) -> TaskInfo:
        """All there is to know of it."""
        return TaskInfo(self._record)

    def result(self) -> asyncio.Future[R]:
        """Return a future of the result: `await handle.result()`.

        It raises what the body raised, and CancelledError if the task was cancelled.
        """
        return self._lifetime.future(self._record)

    def __await__(self) -> Generator[Any, None, R]:
        """Wait for the result."""
        return self.result().__await__()

    async def cancel(self) -> bool:
        """Cancel the task, as `AsyncTaskWorker.cancel_task` does."""
        return await self._lifetime.cancel(self._record)
