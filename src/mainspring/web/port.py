"""The router's view of a worker: one protocol for pool and queue.

All of it is awaited, since a store may be on a disk or a server.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from mainspring.web.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from mainspring.model.job import JobState
    from mainspring.queue.listing import PageOrder
    from mainspring.web.arguments import TaskArguments


@dataclass(frozen=True, slots=True)
class Order:
    """A task that a client asks for."""

    task_type: str
    params: dict[str, Any]
    priority: float | None = None
    task_id: str | None = None
    metadata: dict[str, Any] | None = None
    timeout: float | None = None
    use_cache: bool | None = None
    cache_ttl: float | None = None
    tags: list[str] | None = None


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task as it is at one moment."""

    id: str
    task_type: str
    status: JobState
    progress: float
    priority: float
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    result: Any
    error: str | None
    metadata: dict[str, Any]
    from_cache: bool | None
    tags: Sequence[str] = ()
    message: str = ""
    """The last word of `current_job.progress`."""
    attempts: int | None = None
    """Attempts of a durable job that were charged."""
    due_in: float | None = None
    """Seconds until it may start, if it waits for a time."""


@dataclass(frozen=True, slots=True)
class Search:
    """Filter of a list: of one status and tag, so old at least, `limit` after a cursor.

    Or those of a page's number, from 1; `order` is "newest" or "oldest" first.
    """

    status: JobState | None = None
    older_than: timedelta | None = None
    limit: int = 100
    cursor: str | None = None
    tag: str | None = None
    page: int | None = None
    order: PageOrder = "newest"

    def __post_init__(self) -> None:
        if self.page is not None and self.cursor is not None:
            detail = "give the number of a page or a cursor: both say where it begins"
            raise Refused(422, "invalid", detail, "page")


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Tasks in order, and the cursor that leads to the next ones; None: there are no more."""

    views: Sequence[TaskView]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Health:
    """State of a worker."""

    running: bool
    worker_count: int = 0
    queue_size: int = 0
    counts: dict[str, int] = field(default_factory=dict)


class TaskPort(Protocol):
    """A worker as the router sees it."""

    @property
    def not_taken(self) -> tuple[str, ...]:
        """Fields of an order that mean nothing to it."""
        ...

    def arguments(self) -> list[TaskArguments]:
        """Return the arguments of each type that may be started over HTTP."""
        ...

    def types(self) -> list[str]:
        """Return the types that may be started over HTTP."""
        ...

    async def start(self, order: Order) -> TaskView:
        """Start a task, without waiting for a place; raises Refused, as all of these may."""
        ...

    async def get(self, task_id: str) -> TaskView | None:
        """Return a task, None if there is none."""
        ...

    async def page(self, search: Search) -> TaskPage:
        """Return tasks newest first."""
        ...

    async def cancel(self, task_id: str) -> bool:
        """Cancel a task; False if it has ended."""
        ...

    async def wait(self, task_id: str, timeout: float) -> None:  # noqa: ASYNC109  # as `asyncio.wait`
        """Wait for a task's end, for so many seconds at most."""
        ...

    async def health(self) -> Health:
        """Return how the worker is."""
        ...
