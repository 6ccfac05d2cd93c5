"""The front door of the durable queue: `Queue`."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Never, Protocol, TypeVar, overload

from mainspring.engine.settings import WorkerSettings
from mainspring.engine.waiter import Waiter
from mainspring.errors import InvalidOption
from mainspring.handle import JobHandle
from mainspring.model.codec import JsonCodec
from mainspring.model.duration import seconds_of
from mainspring.model.job import JobState
from mainspring.model.retry import Exponential, rules_of
from mainspring.model.task import Registry, Task, executor_of, task_name
from mainspring.queue_task import Call, QueueTask, refuse_unknown
from mainspring.stores.url import location, open_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
    from datetime import timedelta
    from os import PathLike
    from typing import ParamSpec

    from mainspring.engine.consumer import Consumer
    from mainspring.engine.intake import Intakes
    from mainspring.errors import StoreError
    from mainspring.model.job import Ended, NewJob
    from mainspring.model.task import ExecutorKind
    from mainspring.model.view import AttemptRecord, JobRecord
    from mainspring.protocols import JobStore, Subscriber

    P = ParamSpec("P")
    Kind = type[BaseException]

R = TypeVar("R")

_QUEUE_OPTIONS = (
    "db_path",
    "durability",
    "busy_timeout",
    "workers",
    "async_slots",
    "grace",
    "lease",
    "heartbeat",
    "limit_bytes",
    "keep_completed",
    "keep_failed",
    "max_tasks_per_child",
    "max_memory_per_child",
)
_TASK_OPTIONS = (
    "name",
    "queue",
    "priority",
    "retries",
    "backoff",
    "retry_on",
    "give_up_on",
    "timeout",
    "executor",
    "keep_result",
)


LONGEST_TIMEOUT = 1e8
"""Seconds: what every clock and socket of the system can wait for."""


class TaskDecorator(Protocol):
    """What `@queue.task(...)` puts on a function."""

    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> QueueTask[P, R, Awaitable[R]]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> QueueTask[P, R, R]: ...


class Queue:
    """Named lines of durable jobs in one store, and the tasks that run them. Thread-safe.

    `url` is `sqlite:///jobs.db` or `memory://`, `db_path` a file for the former; with neither, the
    environment's MAINSPRING_URL, else `sqlite:///mainspring.db`.

    `durability`: `"full"` (on disk when `delay` returns) or `"normal"` (a power cut may cost the
    last moments; a killed process costs nothing). `busy_timeout`: seconds to wait for another
    writer. `workers`: slots for threads, and as many for child processes, 0 for the number of
    CPUs. `async_slots`: coroutines at once. `grace`: seconds that running jobs get at a stop.
    `lease`, `heartbeat`: seconds a silent node keeps its jobs, and between its signs of life.
    `limit_bytes`: the most that the arguments of a job, or its result, may take. `keep_completed`,
    `keep_failed`: seconds (or a timedelta) until ended jobs are dropped. `max_tasks_per_child`,
    `max_memory_per_child` (bytes): after so many jobs, or with so much memory resident after one, a
    child process is replaced.
    """

    def __init__(  # noqa: PLR0913  # the front door may be wider
        self,
        url: str | None = None,
        *,
        db_path: str | PathLike[str] | None = None,
        durability: str = "full",
        busy_timeout: float = 30.0,
        workers: int = 0,
        async_slots: int = 100,
        grace: float = 30.0,
        lease: float = 15.0,
        heartbeat: float = 5.0,
        limit_bytes: int = 1 << 20,
        keep_completed: float | timedelta = 86_400.0,
        keep_failed: float | timedelta = 30 * 86_400.0,
        max_tasks_per_child: int | None = None,
        max_memory_per_child: int | None = None,
        **unknown: Never,
    ) -> None:
        refuse_unknown("Queue", unknown, _QUEUE_OPTIONS)
        self._settings = WorkerSettings(
            workers=workers or os.cpu_count() or 1,
            async_slots=async_slots,
            grace=grace,
            lease=lease,
            heartbeat=heartbeat,
            keep_completed=keep_completed,
            keep_failed=keep_failed,
            max_tasks_per_child=max_tasks_per_child,
            max_memory_per_child=max_memory_per_child,
        )
        self.url = location(url, db_path)
        self._store = open_store(self.url, durability=durability, busy_timeout=busy_timeout)
        self._desk = QueueDesk(self._store, JsonCodec(limit_bytes=limit_bytes))
        self._tasks = Registry()
        self._consumers: list[Consumer] = []
        self._subscribers: list[Subscriber] = []

    def __repr__(self) -> str:
        return f"<Queue {self.url}>"

    @overload
    def task(self, function: Callable[P, Awaitable[R]], /) -> QueueTask[P, R, Awaitable[R]]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> QueueTask[P, R, R]: ...
    @overload
    def task(
        self,
        /,
        *,
        name: str | None = None,
        queue: str = "default",
        priority: int = 0,
        retries: int = 3,
        backoff: Exponential | None = None,
        retry_on: Kind | tuple[Kind, ...] | None = None,
        give_up_on: Kind | tuple[Kind, ...] | None = None,
        timeout: float | None = None,
        executor: ExecutorKind | None = None,
        keep_result: float | timedelta | None = None,
    ) -> TaskDecorator: ...
    def task(  # noqa: PLR0913  # the options of a task
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        queue: str = "default",
        priority: int = 0,
        retries: int = 3,
        backoff: Exponential | None = None,
        retry_on: Kind | tuple[Kind, ...] | None = None,
        give_up_on: Kind | tuple[Kind, ...] | None = None,
        timeout: float | None = None,
        executor: ExecutorKind | None = None,
        keep_result: float | timedelta | None = None,
        **unknown: Never,
    ) -> Any:
        """Register a function as a task: `@queue.task` or `@queue.task(...)`.

        `name`: by default module and qualified name. `queue`, `priority` (lower is more urgent):
        where its jobs stand. `retries`: how often it may run again after an error, with `backoff`
        between. `retry_on`, `give_up_on`: the errors that are worth another attempt (all), and
        those that are not (none); the latter wins. `timeout`: seconds an attempt may take.
        `executor`: `"process"` for a child process; by default `async def` runs on an event loop
        and `def` in a thread. `keep_result`: seconds (or a timedelta) for which a completed job is
        kept, 0 to drop it soon.
        Raises InvalidOption, UnknownOption, TaskNotImportable or DuplicateName.
        """
        refuse_unknown("@queue.task", unknown, _TASK_OPTIONS)

        def register(function: Callable[..., Any]) -> QueueTask[..., Any, Any]:
            _check_function(function)
            own_name = task_name(function, name, executor)
            _check_backoff(own_name, backoff)
            _check_timeout(own_name, timeout)
            owner = f"task {own_name!r}"
            task = Task(
                own_name,
                function,
                queue=queue,
                priority=priority,
                retries=retries,
                timeout=timeout,
                executor=executor_of(function, executor, owner),
                backoff=backoff or Exponential(),
                rules=rules_of(owner, retry_on, give_up_on),
                keep_result=None
                if keep_result is None
                else seconds_of(owner, "keep_result", keep_result),
            )
            self._tasks.add(task)
            return QueueTask(task, self._desk)

        return register if function is None else register(function)

    def enqueue_many(self, calls: Sequence[Call[Any]]) -> list[JobHandle[Any]]:
        """Enqueue what `task.call(...)` made: all of it or nothing, in one transaction."""
        jobs = [call.job for call in calls]
        ids = self._desk.enqueue(jobs)
        return [
            JobHandle(self._desk, job_id, job.task) for job_id, job in zip(ids, jobs, strict=True)
        ]

    def get_job(self, job_id: str) -> JobHandle[Any] | None:
        """Return the job of that id, or None if there is none (any more)."""
        record = self._store.get(job_id)
        return None if record is None else JobHandle(self._desk, record.id, record.task)

    def stats(self) -> Mapping[str, Any]:
        """Return the number of jobs in each state, and the same by queue under `queues`."""
        by_queue = self._store.stats()
        states = {
            state.value: sum(counts.get(state, 0) for counts in by_queue.values())
            for state in JobState
        }
        return {**states, "queues": by_queue}

    def run_worker(self, queues: Sequence[str] | None = None) -> None:
        """Run jobs in this process until `shutdown()`, SIGINT or SIGTERM; blocks.

        `queues`: take only from these. Signals are heeded only in the main thread.
        """
        consumer = self._new_consumer(queues)
        try:
            consumer.run()
        finally:
            self._consumers.remove(consumer)

    async def arun_worker(self, queues: Sequence[str] | None = None) -> None:
        """Run jobs in threads of this process, without blocking the loop, until `shutdown()`.

        Cancelling it shuts the worker down in the same way, and waits for that.
        """
        from mainspring.engine.offload import run_off_loop  # noqa: PLC0415  # a lazy door

        consumer = self._new_consumer(queues)
        try:
            await run_off_loop(consumer.run, consumer.shutdown)
        finally:
            self._consumers.remove(consumer)

    @contextmanager
    def worker(self, queues: Sequence[str] | None = None) -> Iterator[None]:
        """Run jobs in threads of this process while the block runs."""
        consumer = self._new_consumer(queues)
        try:
            consumer.start()
            try:
                yield
            finally:
                consumer.shutdown()
                consumer.wait()
        finally:
            self._consumers.remove(consumer)

    def shutdown(self) -> None:
        """Ask the workers of this queue in this process to stop; returns at once.

        The first call gives running jobs their grace, a second ends them now. May be called from a
        signal handler, any thread or an event loop.
        """
        for consumer in list(self._consumers):
            consumer.shutdown()

    def subscribe(self, subscriber: Subscriber) -> None:
        """Tell `subscriber` what happens in the workers that this queue starts from now on."""
        self._subscribers.append(subscriber)

    def close(self) -> None:
        """Let go of the store's files and threads; the next use opens them again."""
        self._desk.close()
        self._store.close()

    @property
    def grace(self) -> float:
        """Seconds that running jobs get when a worker is asked to stop."""
        return self._settings.grace

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The registered tasks."""
        return tuple(self._tasks)

    def _new_consumer(self, queues: Sequence[str] | None) -> Consumer:
        from mainspring.engine.consumer import Consumer  # noqa: PLC0415  # a lazy door

        if isinstance(queues, str):
            expected = f"a list of names, as in [{queues!r}]"
            raise InvalidOption("queues", queues, owner="run_worker", expected=expected)
        names = None if queues is None else tuple(queues)
        consumer = Consumer(self._store, self._tasks, self._desk.codec, self._settings, names)
        for subscriber in self._subscribers:
            consumer.subscribe(subscriber)
        self._consumers.append(consumer)
        return consumer


def _check_function(function: object) -> None:
    if not callable(function) or not hasattr(function, "__qualname__"):
        expected = "a function: write @queue.task, or @queue.task(name=...) with keywords"
        raise InvalidOption("function", function, owner="@queue.task", expected=expected)


def _check_backoff(task: str, backoff: object) -> None:
    # Found out when a job fails, it would be too late: nobody but the worker could be told.
    if backoff is not None and not isinstance(backoff, Exponential):
        expected = "an Exponential, as in backoff=Exponential(base=1, cap=300)"
        raise InvalidOption("backoff", backoff, owner=f"task {task!r}", expected=expected)


def _check_timeout(task: str, timeout: object) -> None:
    # Of any other kind of value the task itself says what is wrong with it.
    if isinstance(timeout, (int, float)) and timeout > LONGEST_TIMEOUT:
        expected = "seconds up to 1e8 (3 years), or None for no limit"
        raise InvalidOption("timeout", timeout, owner=f"task {task!r}", expected=expected)


class QueueDesk:
    """What the handles and tasks of one queue share."""

    def __init__(self, store: JobStore, codec: JsonCodec) -> None:
        self.codec = codec
        self._store = store
        self._waiter = Waiter(store)
        self._intakes: Intakes | None = None

    def enqueue(self, jobs: Sequence[NewJob]) -> list[str]:
        """Keep new jobs; return their ids."""
        return self._store.enqueue_many(jobs)

    async def aenqueue(self, job: NewJob) -> str:
        """Keep a new job without blocking the loop; return its id."""
        if self._intakes is None:
            from mainspring.engine.intake import Intakes  # noqa: PLC0415  # a lazy door

            self._intakes = Intakes(self._store)
        return await self._intakes.here().enqueue(job)

    def get(self, job_id: str) -> JobRecord | None:
        """Return the job as it is now, None if it is gone."""
        return self._store.get(job_id)

    def history(self, job_id: str) -> list[AttemptRecord]:
        """Return its attempts."""
        return self._store.history(job_id)

    def wait(self, job_id: str, timeout: float | None) -> Ended | None:
        """Block until the job has ended, at most `timeout` seconds."""
        return self._waiter.wait(job_id, timeout)

    def subscribe(
        self, job_id: str, tell: Callable[[Ended | StoreError], None]
    ) -> Callable[[], None]:
        """Call `tell` when the job has ended, or with why that can't be known."""
        return self._waiter.subscribe(job_id, tell)

    def close(self) -> None:
        """End the thread that waits for results."""
        self._waiter.close()
