"""QueueTask: a registered task, to call as it is or to enqueue with `delay`."""

from __future__ import annotations

import functools
from copy import copy
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Never,
    ParamSpec,
    TypeVar,
    TypeVarTuple,
    Unpack,
    overload,
)

from mainspring.errors import InvalidArguments
from mainspring.model.enqueue_options import CHECKS, EnqueueOptions
from mainspring.model.foreign_names import missing
from mainspring.model.job import NewJob
from mainspring.model.job_options import OWN_OPTIONS
from mainspring.model.options import refuse_unknown
from mainspring.model.place import check_imported
from mainspring.model.signature import task_signature
from mainspring.model.unique import key_of_arguments, key_of_task, key_of_users
from mainspring.queue.job_handle import JobHandle
from mainspring.queue.priority_order import stored_priority

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from mainspring.model.backoff import KeptBackoff
    from mainspring.model.job import OnConflict
    from mainspring.model.task import Task
    from mainspring.model.unique import Unique
    from mainspring.protocols import Codec
    from mainspring.queue.binding import Binding

P = ParamSpec("P")
R = TypeVar("R")
Raw = TypeVar("Raw")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
Ts = TypeVarTuple("Ts")

_USING_OPTIONS = ("queue", "priority", *CHECKS, *OWN_OPTIONS, "conn")
_NO_OPTIONS = EnqueueOptions()

_LATER = "task.using(delay=5).delay(...)"
_INSTEAD = {
    "apply": "task(...), which calls the function, or task.delay(...)",
    "apply_async": "task.using(delay=5, ...).delay(...), or task.delay(...)",
    "chunks": "task.map([...])",
    "defer": "task.delay(...)",
    "defer_async": "await task.adelay(...)",
    "enqueue": "task.delay(...)",
    "kiq": "await task.adelay(...)",
    "retry": "raise mainspring.Retry(delay=5) in the body",
    "s": "task.call(...), for queue.enqueue_many",
    "schedule": _LATER,
    "send": "task.delay(...)",
    "send_with_options": _LATER,
    "si": "task.call(...), for queue.enqueue_many",
    "signature": "task.call(...), for queue.enqueue_many",
    "starmap": "task.map([...])",
}
"""The methods of Celery's, Dramatiq's, procrastinate's, Huey's and taskiq's tasks."""


class Call(Generic[R]):
    """A task with its arguments, checked and encoded: ready for `queue.enqueue_many`."""

    __slots__ = ("connection", "job")

    def __init__(self, job: NewJob, connection: Any = None) -> None:
        self.job = job
        self.connection = connection


class QueueTask(Generic[P, R, Raw]):
    """A registered task. Calling it runs the function here and now; `delay` enqueues a job.

    `P` are the function's parameters, `R` its result, `Raw` what calling it gives (a coroutine for
    `async def`). `delay`, `map` and their kin raise InvalidArguments when the arguments do not fit
    the function or can't be stored, DuplicateJob when a unique key says so, StoreError when the
    store can't take the job, and TaskNotImportable when a child process would not find the
    function.
    """

    def __init__(self, task: Task, binding: Binding) -> None:
        self.task = task
        self.name = task.name
        self._binding = binding
        self._options = _options_of(task)
        self._connection: Any = None
        self._shape = task_signature(task.name, task.function, task.injected)
        self._encode = binding.codec.encode_call
        self._is_checked = task.executor != "process"
        # Its attributes stay its own: one named `delay` or `name` must not hide ours.
        functools.update_wrapper(self, task.function, updated=())

    def __repr__(self) -> str:
        return f"<task {self.name}>"

    if not TYPE_CHECKING:  # or each attribute would exist to a type checker

        def __getattr__(self, name: str) -> Any:
            raise missing(self, name, _INSTEAD)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Raw:
        """Run the function itself, here and now."""
        return self.task.function(*args, **kwargs)  # type: ignore[no-any-return]  # its own type

    @property
    def codec(self) -> Codec:
        """Codec of its arguments and results."""
        return self._binding.codec

    @property
    def enqueue_options(self) -> EnqueueOptions:
        """The options of its enqueuings: start, expiry, uniqueness."""
        return self._options

    @property
    def connection(self) -> Any:
        """The caller's connection that its jobs go into, None for the store's own."""
        return self._connection

    def call(self, /, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """Return the call as a value, for `queue.enqueue_many`."""
        return Call(self._new_job(args, kwargs), self._connection)

    def delay(self, /, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Enqueue a job; when this returns, the job is in the store.

        With `using(conn=...)` it is there if and only if the transaction there commits.
        """
        client = self._binding.client
        job_id = client.enqueue([self._new_job(args, kwargs)], self._connection)[0]
        return JobHandle(client, job_id, self.name)

    async def adelay(self, /, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Enqueue a job without blocking the loop; calls at the same time share a commit.

        With `using(conn=...)` it is as `delay`: a connection belongs to its thread.
        """
        client = self._binding.client
        job_id = await client.aenqueue(self._new_job(args, kwargs), self._connection)
        return JobHandle(client, job_id, self.name)

    @overload
    def map(self: Callable[[], Any], arguments: Iterable[tuple[()]]) -> list[JobHandle[R]]: ...
    @overload
    def map(self: Callable[[A], Any], arguments: Iterable[tuple[A]]) -> list[JobHandle[R]]: ...
    @overload
    def map(
        self: Callable[[A, B], Any], arguments: Iterable[tuple[A, B]]
    ) -> list[JobHandle[R]]: ...
    @overload
    def map(
        self: Callable[[A, B, C], Any], arguments: Iterable[tuple[A, B, C]]
    ) -> list[JobHandle[R]]: ...
    @overload
    def map(
        self: Callable[[A, B, C, D], Any], arguments: Iterable[tuple[A, B, C, D]]
    ) -> list[JobHandle[R]]: ...
    @overload
    def map(
        self: Callable[[Unpack[Ts]], Any], arguments: Iterable[tuple[*Ts]]
    ) -> list[JobHandle[R]]: ...
    def map(self, arguments: Iterable[Sequence[Any]]) -> list[JobHandle[R]]:
        """Enqueue a job for each tuple of positional arguments, all in one transaction."""
        client = self._binding.client
        ids = client.enqueue(self._new_jobs(arguments), self._connection)
        return [JobHandle(client, job_id, self.name) for job_id in ids]

    @overload
    async def amap(
        self: Callable[[], Any], arguments: Iterable[tuple[()]]
    ) -> list[JobHandle[R]]: ...
    @overload
    async def amap(
        self: Callable[[A], Any], arguments: Iterable[tuple[A]]
    ) -> list[JobHandle[R]]: ...
    @overload
    async def amap(
        self: Callable[[A, B], Any], arguments: Iterable[tuple[A, B]]
    ) -> list[JobHandle[R]]: ...
    @overload
    async def amap(
        self: Callable[[A, B, C], Any], arguments: Iterable[tuple[A, B, C]]
    ) -> list[JobHandle[R]]: ...
    @overload
    async def amap(
        self: Callable[[A, B, C, D], Any], arguments: Iterable[tuple[A, B, C, D]]
    ) -> list[JobHandle[R]]: ...
    @overload
    async def amap(
        self: Callable[[Unpack[Ts]], Any], arguments: Iterable[tuple[*Ts]]
    ) -> list[JobHandle[R]]: ...
    async def amap(self, arguments: Iterable[Sequence[Any]]) -> list[JobHandle[R]]:
        """Call `map` without blocking the event loop.

        With `using(conn=...)` it blocks: a connection belongs to its thread.
        """
        client = self._binding.client
        ids = await client.aenqueue_many(self._new_jobs(arguments), self._connection)
        return [JobHandle(client, job_id, self.name) for job_id in ids]

    def using(  # noqa: PLR0913  # the options of an enqueuing
        self,
        *,
        queue: str | None = None,
        priority: int | None = None,
        delay: float | timedelta | None = None,
        run_at: datetime | None = None,
        unique: str | Unique | None = None,
        on_conflict: OnConflict | None = None,
        idempotency_key: str | None = None,
        expires: float | timedelta | None = None,
        retries: int | None = None,
        timeout: float | None = None,
        keep_result: float | timedelta | None = None,
        backoff: KeptBackoff | None = None,
        tags: Collection[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        conn: Any = None,
        **unknown: Never,
    ) -> QueueTask[P, R, Raw]:
        """Return the same task with other options for the jobs enqueued through it.

        `delay`: seconds (or a timedelta) from each enqueuing, `run_at` an aware moment. `expires`:
        seconds (or a timedelta) from each enqueuing, after which a job may not start any more.
        `unique`: a key, at most one live job of this task bears it, or a Unique; what happens to a
        second, `on_conflict` says: `"return_existing"` (the handle is the live job's), `"raise"`
        (DuplicateJob) or `"replace"`. `idempotency_key`: within 24 hours one job of this task bears
        it, whatever became of it. `retries`, `timeout`, `keep_result` and `backoff` take the place
        of the task's for these jobs and are kept with each (a function as backoff can't be), as
        are `tags`, texts by which `queue.jobs(tag=...)` finds them, and `metadata`, a dict of JSON
        values. `conn`: the caller's own connection, in whose open transaction the jobs are
        enqueued. None leaves an option as it is. Raises InvalidOption, UnknownOption.
        """
        owner = f"{self.name}.using()"
        refuse_unknown(owner, unknown, _USING_OPTIONS)
        given = {
            "delay": delay,
            "run_at": run_at,
            "unique": unique,
            "on_conflict": on_conflict,
            "idempotency_key": idempotency_key,
            "expires": expires,
            "retries": retries,
            "timeout": timeout,
            "keep_result": keep_result,
            "backoff": backoff,
            "tags": tags,
            "metadata": metadata,
        }
        given = {option: value for option, value in given.items() if value is not None}
        if conn is not None:
            self._binding.client.check_connection(owner, conn)
        other = copy(self)
        other.task = self._task_with(owner, queue, priority)
        if given:
            other._options = self._options.changed(owner, given)  # noqa: SLF001  # one of our own
        if conn is not None:
            other._connection = conn  # noqa: SLF001  # as above
        return other

    def payload(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """Return the arguments as the store keeps them; raises InvalidArguments."""
        self._shape.check(args, kwargs)
        return self._encode(self.name, args, kwargs)

    def unique_key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """Return the key that its jobs with these arguments bear, as stores compare it."""
        unique, name = self._options.unique, self.name
        if unique is None:
            return None
        if isinstance(unique, str):
            return key_of_users(name, unique)
        if unique.by == "task":
            return key_of_task(name)
        text = self._binding.codec.canonical_call(name, *self._shape.values(args, kwargs))
        return key_of_arguments(name, text)

    def _task_with(self, owner: str, queue: str | None, priority: int | None) -> Task:
        task = self.task
        if queue is not None:
            task = task.with_options(queue=queue)
        if priority is not None:
            stored = stored_priority(owner, priority, self._binding.priority_order)
            task = task.with_options(priority=stored)
        return task

    def _new_job(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NewJob:
        task, options = self.task, self._options
        if not self._is_checked:
            # Not sooner: a decorator registers before its function's name is bound.
            check_imported(task.name, task.function)
            self._is_checked = True
        self._shape.check(args, kwargs)
        payload = self._encode(task.name, args, kwargs)
        if options is _NO_OPTIONS:  # most are, and a producer waits for this
            return NewJob(task.name, task.queue, payload, task.priority)
        wait = options.wait()
        options.check_expiry(f"task {task.name!r}", wait)
        key = options.idempotency_key
        return NewJob(
            task.name,
            task.queue,
            payload,
            task.priority,
            wait,
            unique=self.unique_key(args, kwargs),
            on_conflict=options.answer(),
            idempotency_key=None if key is None else key_of_users(task.name, key),
            expires=options.expires,
            options=options.stored,
        )

    def _new_jobs(self, arguments: Iterable[Sequence[Any]]) -> list[NewJob]:
        return [self._new_job(self._tuple(item), {}) for item in arguments]

    def _tuple(self, item: Sequence[Any]) -> tuple[Any, ...]:
        if isinstance(item, (tuple, list)):
            return tuple(item)
        raise InvalidArguments(
            f"{self.name}.map() got {type(item).__name__} for the arguments of one job; "
            "give a tuple for each job, as in [(1, 2), (3, 4)] or [(1,), (2,)]"
        )


def _options_of(task: Task) -> EnqueueOptions:
    if task.expires is None and task.unique is None:
        return _NO_OPTIONS
    return EnqueueOptions(expires=task.expires, unique=task.unique)
