"""A task of the pool: its record, and what users see of it."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from os import urandom
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from mainspring.clock import wall_clock
from mainspring.errors import InvalidOption
from mainspring.model.error_text import message_of
from mainspring.model.job import JobState
from mainspring.model.number import as_float

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Generator
    from contextvars import Context

    from mainspring.engine.attempts.pipeline import Call
    from mainspring.pool.body import Body
    from mainspring.pool.options import CachePlan

_VARIANT = "89ab"

NEVER = 0.0
"""A moment that has not come."""


class Ending(Struct, frozen=True):
    """The end of an attempt of a pool's task; `began` and `ended` are monotonic seconds."""

    record: Record
    state: JobState
    began: float
    ended: float
    result: Any = None
    error: BaseException | None = None


class Record:
    """One task, from `add_task` until it is forgotten. Moments are seconds since 1970.

    But for `over`, its end on the clock that never jumps.
    """

    __slots__ = (
        "began",
        "body",
        "call",
        "context",
        "created",
        "ended",
        "error",
        "from_cache",
        "futures",
        "id",
        "key",
        "metadata",
        "over",
        "plan",
        "priority",
        "progress",
        "result",
        "state",
        "timeout",
    )

    queue = "pool"
    attempt = 1
    crashes = 0

    def __init__(
        self,
        task_id: str,
        body: Body,
        call: Call,
    ) -> None:
        self.id = task_id
        self.body = body
        self.call: Call | None = call
        self.context: Context | None = None
        self.priority: float = 0
        self.timeout: float | None = None
        self.metadata: dict[str, Any] | None = None
        self.plan: CachePlan | None = None
        self.state = JobState.PENDING
        self.created = wall_clock()
        self.began = self.ended = self.over = NEVER
        self.progress = 0.0
        self.from_cache = False
        self.key: str | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.futures: set[asyncio.Future[Any]] | None = None

    @property
    def task(self) -> str:
        """The task's name."""
        return self.body.name

    @property
    def final(self) -> bool:
        """True once it has ended."""
        return self.ended != NEVER

    def report(self, progress: float) -> None:
        """Note how far the body is, from 0 to 1; from any thread, and ignored after the end.

        What is beyond is clamped; NaN is a ValueError.
        """
        number = as_float(progress)
        if math.isnan(number):
            expected = "a number from 0 to 1"
            raise InvalidOption("progress", progress, owner=self.task, expected=expected)
        if self.state is JobState.RUNNING:
            self.progress = min(1.0, max(0.0, number))

    def end(self, ending: Ending) -> None:
        """Note how it ended, and let go of what only a run needs."""
        self.state = ending.state
        self.result = ending.result
        self.error = ending.error
        self.ended, self.over = wall_clock(), ending.ended
        if ending.state is JobState.COMPLETED:
            self.progress = 1.0
        self.call = self.plan = self.context = self.key = None


CANCELLED = "the task was cancelled"
"""The error of a cancelled task."""

SHOWN = ("id", "task", "priority", "progress", "result", "error", "metadata", "from_cache")
MOMENTS = ("created_at", "started_at", "completed_at")


class TaskInfo:
    """A live, read-only view of a task, from any thread. Times are aware UTC.

    It may be awaited, which gives the view itself, since newer releases of async-task-worker await
    their getters. It shows its task for as long as it lives, also when the pool has forgotten it.
    """

    __slots__ = ("_record",)

    def __init__(self, record: Record) -> None:
        self._record = record

    def __repr__(self) -> str:
        return f"<TaskInfo {self.id} of {self.task}: {self.status}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskInfo) and other._record is self._record

    def __hash__(self) -> int:
        return hash(self._record)

    def __await__(self) -> Generator[None, None, TaskInfo]:
        yield from ()
        return self

    def is_terminal_state(self) -> bool:
        """Return whether it has ended."""
        return self._record.final

    def to_dict(self) -> dict[str, Any]:
        """Return what it shows as a dict: times in ISO 8601, the result as it is."""
        shown = {name: getattr(self, name) for name in SHOWN}
        moments = {name: getattr(self, name) for name in MOMENTS}
        texts = {name: one and one.isoformat() for name, one in moments.items()}
        return {**shown, **texts, "status": self.status.value}

    @property
    def id(self) -> str:
        """The task's id, as `add_task` returned it."""
        return self._record.id

    @property
    def task(self) -> str:
        """The registered type, or else the function's name."""
        return self._record.task

    @property
    def status(self) -> JobState:
        """Its state now; prints as its value."""
        return self._record.state

    @property
    def priority(self) -> float:
        """Lower is more urgent."""
        return self._record.priority

    @property
    def progress(self) -> float:
        """Progress that the body last reported, from 0 to 1; 1 once it is completed."""
        return self._record.progress

    @property
    def created_at(self) -> datetime:
        """Time at which it was added."""
        return datetime.fromtimestamp(self._record.created, UTC)

    @property
    def started_at(self) -> datetime | None:
        """Time at which the body began, None before."""
        return _moment(self._record.began)

    @property
    def completed_at(self) -> datetime | None:
        """Time at which it ended, however it ended; None before."""
        return _moment(self._record.ended)

    @property
    def result(self) -> Any:
        """Return value of the body; None unless completed."""
        return self._record.result

    @property
    def error(self) -> str | None:
        """The sentence of the exception it failed of, or that it was cancelled."""
        error = self._record.error
        if error is not None:
            return message_of(error)
        return CANCELLED if self._record.state is JobState.CANCELLED else None

    @property
    def exception(self) -> BaseException | None:
        """The exception it failed of, with its traceback."""
        return self._record.error

    @property
    def metadata(self) -> dict[str, Any]:
        """A copy of what was given to `add_task`."""
        return dict(self._record.metadata or {})

    @property
    def from_cache(self) -> bool:
        """True if the result came from the cache, and no body ran for it."""
        return self._record.from_cache


def _moment(seconds: float) -> datetime | None:
    return None if seconds == NEVER else datetime.fromtimestamp(seconds, UTC)


def new_task_id() -> str:
    """Return a random UUID (RFC 9562, version 4) as text, three times as fast as `uuid.uuid4`."""
    digits = urandom(16).hex()
    variant = _VARIANT[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
