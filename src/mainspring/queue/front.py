"""The front door of the durable queue: `Queue`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never, TypeVar, overload

from mainspring.engine.cache.setup import CacheSetup
from mainspring.engine.settings import WorkerSettings, slots_of
from mainspring.model.async_twin import off_loop
from mainspring.model.options import refuse_unknown
from mainspring.model.task import Registry
from mainspring.queue import bulk
from mainspring.queue.binding import Binding
from mainspring.queue.consumers import Consumers
from mainspring.queue.every_queue import add_queue
from mainspring.queue.options import QUEUE_OPTIONS, TASK_OPTIONS, codec_of, new_task
from mainspring.queue.priority_order import PRIORITY_ORDER, stored_priority
from mainspring.queue.queue_task import Call, QueueTask
from mainspring.queue.setup import QueueSetup
from mainspring.queue.taskito_inner import TaskitoInner
from mainspring.stores.public_url import public_url
from mainspring.stores.url import file_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime, timedelta
    from os import PathLike
    from typing import ParamSpec, Unpack
    from zoneinfo import ZoneInfo

    from mainspring.model.task import Task
    from mainspring.model.timetable import CatchUp, NewSchedule
    from mainspring.protocols import Codec
    from mainspring.queue.job_handle import JobHandle
    from mainspring.queue.kit.front import TestQueue
    from mainspring.queue.options import (
        OwnOptions,
        ScheduleDecorator,
        ScheduleOptions,
        TaskDecorator,
        TaskOptions,
        UsingOptions,
    )
    from mainspring.queue.priority_order import PriorityOrder
    from mainspring.queue.schedules import Schedules

    P = ParamSpec("P")

R = TypeVar("R")
T = TypeVar("T")


class Queue(QueueSetup):
    """Named lines of durable jobs in one store, and the tasks that run them. Thread-safe.

    `url` is `sqlite:///jobs.db`, `postgresql://user@host/database`, `redis://host:6379/0` or
    `memory://`, `db_path` a file for the first; with neither, the environment's MAINSPRING_URL at
    the first use, else `sqlite:///mainspring.db`. `configure` changes it until then.

    `durability`: `"full"` (on disk when `delay` returns) or `"normal"` (a power cut may cost the
    last moments; a killed process costs nothing). `busy_timeout`: seconds to wait for another
    writer. `workers`: slots for threads, and as many for child processes, 0 for the number of
    CPUs. `async_slots`: coroutines at once. `grace`: seconds that running jobs get at a stop.
    `lease`, `heartbeat`: seconds a silent node keeps its jobs, and between its signs of life.
    `limit_bytes`: the most that the arguments of a job, or its result, may take (1 MiB).
    `keep_completed`, `keep_failed`: seconds (or a timedelta) for which its workers leave completed
    and cancelled jobs (a day), and failed ones (30 days), in the store. `max_tasks_per_child`,
    `max_memory_per_child` (bytes): after so many jobs, or with so much memory resident after one, a
    child process is replaced. `codec`: a `PickleCodec(signing_key=...)` for arguments that JSON
    can't carry; it has a limit of its own. `priority_order="higher_first"`: a higher priority is
    the more urgent one, as with taskito; records show the number that is stored, its negative.
    `auto_migrate=False`: only `migrate` makes and changes tables. `wal=False`: a SQLite file keeps
    the journal mode that it has. Raises InvalidOption, UnknownOption.
    """

    def __init__(  # noqa: PLR0913  # the front door may be wider
        self,
        url: str | None = None,
        *,
        db_path: str | PathLike[str] | None = None,
        durability: str = "full",
        busy_timeout: float = 30.0,
        auto_migrate: bool = True,
        wal: bool = True,
        workers: int = 0,
        async_slots: int = 100,
        grace: float = 30.0,
        lease: float = 15.0,
        heartbeat: float = 5.0,
        limit_bytes: int | None = None,
        keep_completed: float | timedelta = 86_400.0,
        keep_failed: float | timedelta = 30 * 86_400.0,
        max_tasks_per_child: int | None = None,
        max_memory_per_child: int | None = None,
        codec: Codec | None = None,
        priority_order: PriorityOrder = "lower_first",
        **unknown: Never,
    ) -> None:
        refuse_unknown("Queue", unknown, QUEUE_OPTIONS)
        PRIORITY_ORDER("Queue", "priority_order", priority_order)
        store: dict[str, Any] = {"url": url, "db_path": db_path, "durability": durability}
        store |= {"busy_timeout": busy_timeout, "auto_migrate": auto_migrate, "wal": wal}
        settings = WorkerSettings(
            workers=slots_of(workers),
            async_slots=async_slots,
            grace=grace,
            lease=lease,
            heartbeat=heartbeat,
            keep_completed=keep_completed,
            keep_failed=keep_failed,
            max_tasks_per_child=max_tasks_per_child,
            max_memory_per_child=max_memory_per_child,
        )
        self._tasks = Registry()
        self._caches = CacheSetup()
        codec = codec_of(codec, limit_bytes)
        binding = Binding(codec, self._tasks, store, self._locate_caches, priority_order)
        super().__init__(binding)
        self._inner = TaskitoInner(self.shutdown)
        self._schedules: Schedules | None = None
        self._consumers = Consumers(self._binding, settings, self._caches, self._declared)
        add_queue(self)

    def __repr__(self) -> str:
        return f"<Queue {public_url(self.url)}>"

    @overload
    def task(self, function: Callable[P, Awaitable[R]], /) -> QueueTask[P, R, Awaitable[R]]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> QueueTask[P, R, R]: ...
    @overload
    def task(self, /, **options: Unpack[TaskOptions]) -> TaskDecorator: ...
    def task(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Register a function as a task: `@queue.task` or `@queue.task(...)`.

        `name`: by default module and qualified name. `queue`, `priority` (lower is more urgent):
        where its jobs stand. `retries`: how often it may run again after an error (3), with
        `backoff` between. `retry_on`, `give_up_on`: the errors that are worth another attempt
        (all; or a backoff for each, as a dict), and those that are not. `timeout`: seconds it may
        take. `executor`: `"process"` for a child process; by default `async def` runs on an event
        loop and `def` in a thread. `keep_result`: seconds (or a timedelta) for which a completed
        job is kept, 0 to drop it soon.
        `expires`: seconds (or a timedelta) from the enqueuing, after which a job may not start any
        more. `unique`: a Unique, for at most one live job. `http`: it may be enqueued over HTTP.
        `cache`: how results are kept, for jobs with equal arguments that come later.
        Raises InvalidOption, UnknownOption, TaskNotImportable or DuplicateName.
        """
        refuse_unknown("@queue.task", options, TASK_OPTIONS)
        cache = options.pop("cache", None)
        if options.get("priority") is not None:
            order = self._binding.priority_order
            options["priority"] = stored_priority("@queue.task", options["priority"], order)

        def register(function: Callable[..., Any]) -> QueueTask[..., Any, Any]:
            task = self._add_task(new_task(function, options))
            self._caches.note(task.name, cache)
            self._consumers.follow()
            return QueueTask(task, self._binding)

        return register if function is None else register(function)

    def cron(  # noqa: PLR0913  # the options of a schedule
        self,
        expression: str,
        *,
        tz: str | ZoneInfo = "UTC",
        name: str | None = None,
        catch_up: CatchUp = "one",
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> ScheduleDecorator:
        """Enqueue a job of the decorated task whenever a cron expression says, in time zone `tz`.

        Put on a function it registers that as a task with `options` (see `task`); on a task it
        adds a schedule, and each but the first needs a `name` of its own. `args`, `kwargs`, `tags`,
        `metadata`: those of each job. `catch_up`: what becomes of ticks missed while no worker ran:
        `"skip"`, `"one"` job for all of them, or `"all"`. A tick is enqueued once, over any number
        of workers. Raises InvalidOption, InvalidArguments, UnknownOption, DuplicateName.
        """
        from mainspring.queue.declaring import Declaration, cron_rule  # noqa: PLC0415  # a lazy door

        rule = cron_rule(name, expression, tz)
        declaration = Declaration(rule, name, catch_up, args, kwargs or {}, options)
        return declaration.decorator(self.task, self.schedules.declare)

    def every(  # the options of a schedule
        self,
        seconds: float | timedelta,
        *,
        name: str | None = None,
        catch_up: CatchUp = "one",
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> ScheduleDecorator:
        """Enqueue a job of the decorated task every so many seconds (or a timedelta); see `cron`.

        They count from the moment when a worker first brings the schedule to the store.
        """
        from mainspring.queue.declaring import Declaration, interval_rule  # noqa: PLC0415  # as above

        rule = interval_rule(name, seconds)
        declaration = Declaration(rule, name, catch_up, args, kwargs or {}, options)
        return declaration.decorator(self.task, self.schedules.declare)

    @property
    def schedules(self) -> Schedules:
        """The schedules by name: those declared here, and all others in the store."""
        if self._schedules is None:
            from mainspring.queue.schedules import Schedules  # noqa: PLC0415  # a lazy door

            self._schedules = Schedules(self._binding, self._consumers.follow)
        return self._schedules

    def register(
        self,
        cls: type[T],
        to_json: Callable[[T], object] | None = None,
        from_json: Callable[[Any], T] | None = None,
    ) -> None:
        """Store instances of `cls` as what `to_json` returns; `from_json` makes one of that.

        An exception class needs neither: once it is registered, `result()` raises with one of it as
        the cause, made of the message alone. Every process must register the same classes.
        """
        self._binding.register(cls, to_json, from_json)

    def transaction(self, conn: Any) -> AbstractContextManager[None]:
        """Wake workers after the block, in which a transaction of the caller's own commits.

        What is enqueued with `using(conn=conn)` belongs to that transaction, which is begun and
        committed by the caller, in the block. Without the block, workers see it within 100 ms. A
        plain `delay()` in the block, while the transaction holds the store, would wait for itself:
        it raises StoreBusy after a second.
        """
        return self._client.transactions.block(conn)

    def enqueue(
        self,
        task: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[UsingOptions],
    ) -> JobHandle[Any]:
        """Enqueue a job of a task by its name, for a program that does not import the task's code.

        `options` are those of `using`. Where the task is not registered, its own options are not
        known, nor is its signature: give `queue`, `expires` and the like here, and `unique` as a
        key. Raises as `delay` does, and InvalidOption.
        """
        from mainspring.queue.by_name import call_by_name  # noqa: PLC0415  # a lazy door

        call = call_by_name(self._binding, task, args, kwargs, options)
        return bulk.enqueue(self._client, [call])[0]

    async def aenqueue(
        self,
        task: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[UsingOptions],
    ) -> JobHandle[Any]:
        """Call `enqueue` without blocking the event loop."""
        from mainspring.queue.by_name import call_by_name  # noqa: PLC0415  # as above

        call = call_by_name(self._binding, task, args, kwargs, options)
        return (await bulk.aenqueue(self._client, [call]))[0]

    def enqueue_many(self, calls: Iterable[Call[Any]]) -> list[JobHandle[Any]]:
        """Enqueue what `task.call(...)` made: all of it or nothing, in one transaction.

        A DuplicateJob refuses them all.
        """
        return bulk.enqueue(self._client, bulk.calls_of(calls))

    async def aenqueue_many(self, calls: Iterable[Call[Any]]) -> list[JobHandle[Any]]:
        """Call `enqueue_many` without blocking the event loop.

        With `using(conn=...)` it blocks: a connection belongs to its thread.
        """
        return await bulk.aenqueue(self._client, bulk.calls_of(calls))

    def get_task(self, name: str) -> QueueTask[..., Any, Any] | None:
        """Return the registered task of that name, or None if there is none."""
        return QueueTask(self._tasks[name], self._binding) if name in self._tasks else None

    def run_worker(self, queues: Sequence[str] | None = None, **own: Unpack[OwnOptions]) -> None:
        """Run jobs in this process until `shutdown()` or a signal; blocks.

        `queues`: take only from these. `workers`, `async_slots`, `grace`: not the queue's own.
        `log_jobs`: write a line for each attempt that ends to the log `mainspring.jobs`, at INFO.
        In the main thread SIGINT, SIGTERM, SIGHUP and SIGQUIT stop it as `shutdown()` does.
        """
        with self._consumers.consumer(queues, own) as consumer:
            consumer.run()

    async def arun_worker(
        self, queues: Sequence[str] | None = None, **own: Unpack[OwnOptions]
    ) -> None:
        """Run jobs in threads of this process, without blocking the loop, until `shutdown()`.

        Cancelling it shuts the worker down in the same way, and waits for that.
        """
        from mainspring.queue.offload import run_off_loop  # noqa: PLC0415  # a lazy door

        with self._consumers.consumer(queues, own) as consumer:
            await run_off_loop(consumer.run, consumer.shutdown)

    def worker(
        self, queues: Sequence[str] | None = None, **own: Unpack[OwnOptions]
    ) -> AbstractContextManager[None]:
        """Run jobs in threads of this process while the block runs."""
        return self._consumers.at_work(queues, own)

    def shutdown(self, *, at_once: bool | None = None) -> None:
        """Ask the workers of this queue in this process to stop; returns at once.

        The first call gives running jobs their grace, a second ends them now, unless `at_once` says
        which. May be called from a signal handler, any thread or an event loop.
        """
        self._consumers.shutdown(at_once=at_once)

    def testing(
        self,
        *,
        eager: bool = False,
        processes: bool = False,
        suppress: type[BaseException] | tuple[type[BaseException], ...] = (),
        at: datetime | None = None,
    ) -> TestQueue:
        """Return a block in which jobs go to a private store and run when the test says so.

        In the calling thread, by the real engine, on a clock that the test moves; `async with` will
        do as well. `eager`: a job runs as soon as it is enqueued, its retries at once. `processes`:
        tasks for child processes run in real ones, not in this process. `suppress`: errors of
        bodies that are expected, and not raised. `at`: where the clock begins (aware), by default
        now. See docs/howto/testing.md.
        """
        from mainspring.queue.kit.front import TestQueue  # noqa: PLC0415  # a lazy door

        return TestQueue(
            self,
            self._binding,
            self._declared,
            eager=eager,
            processes=processes,
            suppress=suppress,
            at=at,
        )

    def close(self) -> None:
        """Let go of the store's files and threads; the next use opens them again."""
        self._binding.close()
        self._caches.close()

    aclose = off_loop(close)

    @property
    def grace(self) -> float:
        """The seconds that its workers give running jobs when they stop."""
        return self.settings.grace

    @property
    def settings(self) -> WorkerSettings:
        """Default settings of its workers: slots, grace, lease and heartbeat."""
        return self._consumers.settings

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The registered tasks."""
        return tuple(self._tasks)

    def _locate_caches(self, url: str) -> None:
        self._caches.locate(file_of(url))

    def _declared(self) -> Sequence[NewSchedule]:
        return () if self._schedules is None else self._schedules.declared
