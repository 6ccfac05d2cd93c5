"""The options of a task: what there are, and a `Task` made of them, each checked."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from msgspec.structs import replace

from mainspring.engine.settings import slots_of
from mainspring.errors import InvalidOption
from mainspring.model.backoff import backoff_of
from mainspring.model.codec import LIMIT_BYTES, JsonCodec
from mainspring.model.name import EXPECTED, is_name
from mainspring.model.options import FLAG, Check, count, refuse_unknown
from mainspring.model.retry import rules_of
from mainspring.model.signature import is_generator
from mainspring.model.task import CHECKS, ExecutorKind, Task, executor_of, task_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
    from datetime import datetime, timedelta
    from os import PathLike
    from typing import ParamSpec, Protocol, overload

    from mainspring.cache.policy import Cache
    from mainspring.engine.settings import WorkerSettings
    from mainspring.model.backoff import KeptBackoff, RetryBackoff
    from mainspring.model.job import OnConflict
    from mainspring.model.unique import Unique
    from mainspring.protocols import Codec
    from mainspring.queue.queue_task import QueueTask

    ErrorKind = type[BaseException]
    Backoff = RetryBackoff | Sequence[float | timedelta] | Callable[[int], float | timedelta]

    P = ParamSpec("P")
    R = TypeVar("R")
    Raw = TypeVar("Raw")

    class TaskDecorator(Protocol):
        """Type of the decorator that `@queue.task(...)` returns."""

        @overload
        def __call__(
            self, function: Callable[P, Awaitable[R]], /
        ) -> QueueTask[P, R, Awaitable[R]]: ...
        @overload
        def __call__(self, function: Callable[P, R], /) -> QueueTask[P, R, R]: ...

    class ScheduleDecorator(Protocol):
        """Type of the decorator that `@queue.cron(...)` returns, for a function or a task."""

        @overload
        def __call__(  # type: ignore[overload-overlap]  # a task is callable, and matched first
            self, function: QueueTask[P, R, Raw], /
        ) -> QueueTask[P, R, Raw]: ...
        @overload
        def __call__(
            self, function: Callable[P, Awaitable[R]], /
        ) -> QueueTask[P, R, Awaitable[R]]: ...
        @overload
        def __call__(self, function: Callable[P, R], /) -> QueueTask[P, R, R]: ...


class RunOptions(TypedDict, total=False):
    """Options for the queueing and running of a task's jobs; see `Queue.task`."""

    queue: str
    priority: int
    retries: int
    backoff: Backoff | None
    retry_on: ErrorKind | tuple[ErrorKind, ...] | Mapping[ErrorKind, Backoff | None] | None
    give_up_on: ErrorKind | tuple[ErrorKind, ...] | None
    timeout: float | None
    executor: ExecutorKind | None
    keep_result: float | timedelta | None
    expires: float | timedelta | None
    unique: Unique | None
    http: bool
    cache: Cache | None


class ScheduleOptions(RunOptions, total=False):
    """Options of a schedule that code declares: of its task, and of its jobs; see `Queue.cron`."""

    tags: Collection[str] | None
    metadata: Mapping[str, Any] | None


class TaskOptions(RunOptions, total=False):
    """All options of a task."""

    name: str | None


class UsingOptions(TypedDict, total=False):
    """Options of an enqueuing; see `QueueTask.using`."""

    queue: str | None
    priority: int | None
    delay: float | timedelta | None
    run_at: datetime | None
    unique: str | Unique | None
    on_conflict: OnConflict | None
    idempotency_key: str | None
    expires: float | timedelta | None
    retries: int | None
    timeout: float | None
    keep_result: float | timedelta | None
    backoff: KeptBackoff | None
    tags: Collection[str] | None
    metadata: Mapping[str, Any] | None
    conn: Any


class OwnOptions(TypedDict, total=False):
    """Options of a single worker; None: as the queue says."""

    workers: int | None
    async_slots: int | None
    grace: float | None
    log_jobs: bool
    metrics_port: int | None
    metrics_host: str


class ConfigureOptions(TypedDict, total=False):
    """Options of a queue that may be chosen after it was made; see `Queue`."""

    db_path: str | PathLike[str]
    durability: str
    busy_timeout: float
    auto_migrate: bool
    wal: bool
    workers: int
    async_slots: int
    grace: float
    lease: float
    heartbeat: float
    keep_completed: float | timedelta
    keep_failed: float | timedelta
    max_tasks_per_child: int | None
    max_memory_per_child: int | None


CONFIGURE_OPTIONS = tuple(ConfigureOptions.__annotations__)
QUEUE_OPTIONS = (*CONFIGURE_OPTIONS, "limit_bytes", "codec", "priority_order")
RUN_OPTIONS = tuple(RunOptions.__annotations__)
TASK_OPTIONS = ("name", *RUN_OPTIONS)
OWN_OPTIONS = tuple(OwnOptions.__annotations__)
LOOPBACK = "127.0.0.1"
METRICS_PORT = count(least=0, most=65_535, expected="a port from 1 to 65535, or 0 for a free one")
METRICS_HOST = Check(is_name, "an address or the name of this host, as in '0.0.0.0'")
_LIMIT_BYTES = count(least=1, expected="a whole number of bytes above 0")
_QUEUE = Check(is_name, f"the name of a queue: {EXPECTED}")
_CODEC = Check(
    lambda codec: callable(getattr(codec, "decode_call", None)),
    "None or a PickleCodec(signing_key=...)",
)
_FUNCTION = Check(
    lambda function: callable(function) and hasattr(function, "__qualname__"),
    "a function: write @queue.task, or @queue.task(name=...) with keywords",
)


def new_task(function: Callable[..., Any], options: Mapping[str, Any]) -> Task:
    """Return a function with its options; raises InvalidOption or TaskNotImportable."""
    _FUNCTION("@queue.task", "function", function)
    given = dict(options)
    executor = given.pop("executor", None)
    _check_generator(function)
    _check_signature(function)
    name = task_name(function, given.pop("name", None), executor)
    owner = f"task {name!r}"
    if (backoff := given.pop("backoff", None)) is not None:
        given["backoff"] = backoff_of(owner, backoff)
    given["rules"] = rules_of(owner, given.pop("retry_on", None), given.pop("give_up_on", None))
    for option in ("expires", "keep_result"):
        given[option] = CHECKS[option](owner, option, given.get(option))
    return Task(name, function, executor=executor_of(function, executor, owner), **given)


def codec_of(codec: Codec | None, limit_bytes: int | None) -> Codec:
    """Return the codec that a queue's options say; raises InvalidOption."""
    if codec is None:
        limit = LIMIT_BYTES if limit_bytes is None else limit_bytes
        return JsonCodec(_LIMIT_BYTES("Queue", "limit_bytes", limit))
    if limit_bytes is not None:
        why = "is an option of the codec"
        remedy = "write PickleCodec(signing_key=..., limit_bytes=...)"
        raise InvalidOption("limit_bytes", limit_bytes, owner="Queue", why=why, remedy=remedy)
    found: Codec = _CODEC("Queue", "codec", codec)
    return found


def check_queue(owner: str, queue: object) -> str:
    """Return the name of a queue; raises InvalidOption."""
    return str(_QUEUE(owner, "queue", queue))


def names_of(queues: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the queues that a worker is to take from, None for all; raises InvalidOption."""
    if isinstance(queues, str):
        expected = f"a list of names, as in [{queues!r}]"
        raise InvalidOption("queues", queues, owner="run_worker", expected=expected)
    if queues is None:
        return None
    if not queues or not all(map(is_name, queues)):
        expected = "names of queues, as in ['mail'], or None for all"
        raise InvalidOption("queues", queues, owner="run_worker", expected=expected)
    return tuple(queues)


def settings_with(settings: WorkerSettings, own: OwnOptions) -> WorkerSettings:
    """Return a queue's settings with a worker's own; raises UnknownOption or InvalidOption."""
    refuse_unknown("run_worker", own, OWN_OPTIONS)
    FLAG("run_worker", "log_jobs", own.get("log_jobs", False))
    if (port := own.get("metrics_port")) is not None:
        METRICS_PORT("run_worker", "metrics_port", port)
    METRICS_HOST("run_worker", "metrics_host", own.get("metrics_host", LOOPBACK))
    if (workers := own.get("workers")) is not None:
        settings = replace(settings, workers=slots_of(workers))
    if (async_slots := own.get("async_slots")) is not None:
        settings = replace(settings, async_slots=async_slots)
    grace = own.get("grace")
    return settings if grace is None else replace(settings, grace=grace)


def _check_generator(function: Callable[..., Any]) -> None:
    if is_generator(function):
        why = "has a yield, so to call it runs nothing of it"
        remedy = "return a list, or enqueue a job for each part"
        raise InvalidOption("function", function, owner="@queue.task", why=why, remedy=remedy)


def _check_signature(function: Callable[..., Any]) -> None:
    try:
        inspect.signature(function)
    except ValueError:  # as that of max, which is written in C
        expected = "a function whose parameters are known: call this one from a def of yours"
        raise InvalidOption("function", function, owner="@queue.task", expected=expected) from None
