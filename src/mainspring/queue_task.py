"""A task in the caller's hand: call it as it is, or enqueue it with `delay`."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, Never, ParamSpec, TypeVar

from mainspring.errors import InvalidArguments, InvalidOption, UnknownOption
from mainspring.handle import JobHandle
from mainspring.model.job import NewJob
from mainspring.model.shape import shape_of
from mainspring.model.task import check_priority

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mainspring.handle import Desk
    from mainspring.model.task import Task

P = ParamSpec("P")
R = TypeVar("R")
Raw = TypeVar("Raw")

_USING_OPTIONS = ("queue", "priority", "delay", "run_at")
LONGEST_DELAY = 1e10
"""Seconds: what every store and every calendar can hold."""


class Call(Generic[R]):
    """A task with its arguments, checked and encoded: ready for `queue.enqueue_many`."""

    __slots__ = ("job",)

    def __init__(self, job: NewJob) -> None:
        self.job = job


class QueueTask(Generic[P, R, Raw]):
    """A registered task. Calling it runs the function here and now; `delay` enqueues a job.

    `P` are the function's parameters, `R` its result, `Raw` what calling it gives (a coroutine for
    `async def`). `delay`, `map` and their kin raise InvalidArguments when the arguments do not fit
    the function or can't be stored, and StoreError when the store can't take the job.
    """

    def __init__(
        self, task: Task, desk: Desk, *, delay: float = 0.0, run_at: datetime | None = None
    ) -> None:
        self.task = task
        self.name = task.name
        self._desk = desk
        self._delay = delay
        self._run_at = run_at
        self._shape = shape_of(task.name, task.function)
        self._encode = desk.codec.encode_call
        # Its attributes stay its own: one named `delay` or `name` must not hide ours.
        functools.update_wrapper(self, task.function, updated=())

    def __repr__(self) -> str:
        return f"<task {self.name}>"

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Raw:
        """Run the function itself, here and now."""
        return self.task.function(*args, **kwargs)  # type: ignore[no-any-return]  # its own type

    def call(self, /, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """Return the call as a value, for `queue.enqueue_many`."""
        return Call(self._new_job(args, kwargs))

    def delay(self, /, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Enqueue a job; when this returns, the job is in the store."""
        job_id = self._desk.enqueue([self._new_job(args, kwargs)])[0]
        return JobHandle(self._desk, job_id, self.name)

    async def adelay(self, /, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Enqueue a job without blocking the loop; calls at the same time share a commit."""
        job_id = await self._desk.aenqueue(self._new_job(args, kwargs))
        return JobHandle(self._desk, job_id, self.name)

    def map(self, arguments: Iterable[Sequence[Any]]) -> list[JobHandle[R]]:
        """Enqueue a job for each tuple of positional arguments, all in one transaction."""
        jobs = [self._new_job(self._tuple(item), {}) for item in arguments]
        ids = self._desk.enqueue(jobs)
        return [JobHandle(self._desk, job_id, self.name) for job_id in ids]

    def using(
        self,
        *,
        queue: str | None = None,
        priority: int | None = None,
        delay: float | timedelta | None = None,
        run_at: datetime | None = None,
        **unknown: Never,
    ) -> QueueTask[P, R, Raw]:
        """Return the same task with other options for the jobs enqueued through it.

        `delay` is seconds (or a timedelta) from each enqueuing, `run_at` an aware moment.
        """
        owner = f"{self.name}.using()"
        refuse_unknown(owner, unknown, _USING_OPTIONS)
        if delay is not None and run_at is not None:
            raise InvalidOption("run_at", run_at, owner=owner, expected="either delay or run_at")
        task = self._task_with(owner, queue, priority)
        if delay is not None:
            return QueueTask(task, self._desk, delay=_seconds(owner, delay))
        if run_at is not None:
            return QueueTask(task, self._desk, run_at=_aware(owner, run_at))
        return QueueTask(task, self._desk, delay=self._delay, run_at=self._run_at)

    def _task_with(self, owner: str, queue: str | None, priority: int | None) -> Task:
        task = self.task
        if queue is not None:
            task = task.with_options(queue=queue)
        if priority is not None:
            check_priority(owner, priority)
            task = task.with_options(priority=priority)
        return task

    def _new_job(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NewJob:
        self._shape.check(args, kwargs)
        task = self.task
        payload = self._encode(task.name, args, kwargs)
        return NewJob(task.name, task.queue, payload, task.priority, self._wait())

    def _wait(self) -> float:
        if self._run_at is None:
            return self._delay
        return max(0.0, (self._run_at - datetime.now(UTC)).total_seconds())

    def _tuple(self, item: Sequence[Any]) -> tuple[Any, ...]:
        if isinstance(item, (tuple, list)):
            return tuple(item)
        raise InvalidArguments(
            f"{self.name}.map() got {type(item).__name__} for the arguments of one job; "
            "give a tuple for each job, as in [(1, 2), (3, 4)] or [(1,), (2,)]"
        )


def refuse_unknown(owner: str, unknown: dict[str, Any], known: tuple[str, ...]) -> None:
    """Raise UnknownOption for the first option that does not exist."""
    for option in unknown:
        raise UnknownOption(option, owner=owner, known=known)


def _seconds(owner: str, delay: float | timedelta) -> float:
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not number or not 0 <= seconds <= LONGEST_DELAY:
        expected = "seconds from 0 to 1e10 (300 years), or a timedelta"
        raise InvalidOption("delay", delay, owner=owner, expected=expected)
    return float(seconds)


def _aware(owner: str, moment: datetime) -> datetime:
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        expected = "an aware datetime, such as datetime.now(UTC) + timedelta(hours=1)"
        raise InvalidOption("run_at", moment, owner=owner, expected=expected)
    if (moment - datetime.now(UTC)).total_seconds() > LONGEST_DELAY:
        raise InvalidOption("run_at", moment, owner=owner, expected="a moment within 300 years")
    return moment
