"""The calls of a supervisor: its thread and process pools, and the tasks that run in them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, overload

from mainspring.background.supervisor.pending_tasks import (
    PendingTasks,
    call_late_hook,
    log_late,
    task_of,
)
from mainspring.background.supervisor.process_stand_in import check_process_pool, submit_to
from mainspring.background.supervisor.running_pools import PoolSettings
from mainspring.background.task import BackgroundTask
from mainspring.errors import InvalidOption
from mainspring.supervision.inside import running_loop
from mainspring.supervision.threads.priority import TASK_HIGH, check_priority

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor, Future

    from mainspring.background.aloop import ALoop
    from mainspring.background.supervisor.running_pools import RunningPools
    from mainspring.supervision.threads.pool import PriorityThreadPool

LOAD_PATIENCE = 5.0
"""Seconds for a child to import a target."""

R = TypeVar("R")
T = TypeVar("T")


class SupervisorCalls(ABC):
    """Calls in threads and processes. Part of `TaskSupervisor`, which starts and stops it."""

    timeout_warning: float = 5.0
    """Seconds after which a task that begins is logged as late."""
    timeout_warning_func: Callable[[Any], object] | None = None
    timeout_critical: float = 10.0
    """Seconds after which one is logged as critically late."""
    timeout_critical_func: Callable[[Any], object] | None = None

    def __init__(self) -> None:
        self._settings = PoolSettings()
        self._tasks = PendingTasks()
        self._running = self._new_pools()

    @abstractmethod
    def start(self) -> bool:
        """Start it; False: it was started already."""

    @abstractmethod
    def running_aloop(self, aloop: ALoop | str | None = None) -> ALoop:
        """Return a loop to run something on; its own loop is started on demand."""

    @abstractmethod
    def _new_pools(self) -> RunningPools:
        """Return the pools of the next life."""

    @property
    def running_pools(self) -> RunningPools:
        """Its pools and groups, from a start to the stop."""
        return self._running

    @property
    def control_loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that it runs on itself, which runs no user's code, while it runs."""
        return self._running.control_loop

    @property
    def threads(self) -> PriorityThreadPool:
        """Its own thread pool."""
        return self._running.threads

    def set_thread_pool(self, *, pool: Executor | None = None, **sizes: Any) -> None:
        """Set the sizes of the thread pool, also while it works; or a `pool` in its place.

        `pool_size` (0: no limit), `reserve_normal`, `reserve_high`, `min_size` (a number or
        "max"), `max_size`: see `priority.pool_sizes`. The first three stay as they were set where
        they are left out, unless `max_size` is given. Raises `InvalidOption`.
        """
        if pool is not None:
            self.thread_pool = pool
        self._settings.size_threads(self._running, sizes)

    def set_mp_pool(self, pool_size: int | None = None, **options: Any) -> None:
        """Make the process pool: so many children (one a CPU), and options of `ProcessPool`.

        `reserve_normal` and `reserve_high` are further children, as of the thread pool: calls of
        low priority use `pool_size` alone. They start with the supervisor, or at once if it is
        started. Raises `InvalidOption`, `UnknownOption`, `TaskNotImportable`, `InvalidArguments`.
        """
        self._settings.set_processes(self._running, pool_size, options)

    def create_mp_pool(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        maxtasksperchild: int | None = None,
    ) -> None:
        """Make the process pool by the options of `multiprocessing.Pool`.

        An initializer has a minute; a child that takes longer to start is ended.
        """
        self.set_mp_pool(
            processes,
            initializer=initializer,
            initargs=initargs,
            max_tasks_per_child=maxtasksperchild,
        )

    @property
    def mp_pool(self) -> Any:
        """The process pool, made on demand: a `ProcessPool`, or what was put in its place.

        That may be a `multiprocessing.Pool` or an executor.
        """
        self.start()
        return self._settings.processes(self._running)

    @mp_pool.setter
    def mp_pool(self, pool: Any) -> None:
        check_process_pool(pool)
        self._settings.process_stand_in = pool

    def submit_to_process(
        self, priority: int, function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Call a function in the process pool; a lower priority number is more urgent."""
        return submit_to(self.mp_pool, priority, function, args, kwargs)

    def load_in_process(self, function: Callable[..., Any]) -> None:
        """Have a child of the pool import a function, and wait for that for some seconds.

        So its first calls find it there. Not on a loop, which would be held up.
        """
        if self._settings.process_stand_in is None and running_loop() is None:
            with suppress(Exception):  # it comes again where it is told: in the first call
                self.submit_to_process(TASK_HIGH, callable, function).result(LOAD_PATIENCE)

    @property
    def thread_pool(self) -> Executor:
        """The executor that `spawn` submits to; any other may be put in its place.

        None puts its own there again. Raises `InvalidOption`.
        """
        return self._settings.stand_in or self.threads

    @thread_pool.setter
    def thread_pool(self, executor: Executor | None) -> None:
        if executor is not None and not callable(getattr(executor, "submit", None)):
            owner, expected = "TaskSupervisor", "an executor with `submit`, or None"
            raise InvalidOption("thread_pool", executor, owner=owner, expected=expected)
        self._settings.stand_in = executor

    def spawn(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Call a function in the thread pool, at normal priority."""
        if not self._running.active:
            self.start()
        return (self._settings.stand_in or self._running.threads).submit(fn, *args, **kwargs)

    def spawn_at(
        self, priority: int, fn: Callable[..., T], /, *args: Any, **kwargs: Any
    ) -> Future[T]:
        """Call a function in the thread pool; a lower priority number is more urgent."""
        check_priority("spawn_at", priority)
        self.start()
        if self._settings.stand_in is not None:
            return self._settings.stand_in.submit(fn, *args, **kwargs)
        return self.threads.submit_at(priority, fn, *args, **kwargs)

    def spawn_thread(
        self,
        target: Callable[..., T],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Future[T]:
        """Call a function in the thread pool, as `spawn`."""
        return self.spawn(target, *args, **(kwargs or {}))

    @overload
    def put_task(self, task: BackgroundTask[R], /) -> BackgroundTask[R]: ...
    @overload
    def put_task(
        self,
        target: Callable[..., R],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        task_id: str | None = None,
        **options: Any,
    ) -> BackgroundTask[R]: ...
    def put_task(
        self,
        target: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        task_id: str | None = None,
        **options: Any,
    ) -> BackgroundTask[Any]:
        """Start a task, or make and start one of a function; see `background_task`.

        The function gets the task's id as `_task_id` if it declares that or any keyword. `worker`
        is accepted and has no effect. Raises `InvalidOption`, `UnknownOption`.
        """
        task: BackgroundTask[Any]
        if isinstance(target, BackgroundTask):
            task = target
        else:
            task = task_of(target, args, kwargs or {}, task_id, options)
        self.start()
        self._tasks.launch(task, self)
        if self._running.spent:
            task.cancel_delay()  # it would wait for ever on a loop that has ended
        return task

    def submit_task(self, task: BackgroundTask[Any]) -> Future[Any]:
        """Call a task's function in the thread pool, or in what stands in for it."""
        if self._settings.stand_in is not None:
            # It may be one of processes, which could not take the task itself.
            task.begin()
            return self._settings.stand_in.submit(task.target, *task.args, **task.kwargs)
        return self.spawn_at(task.priority, task.run)

    def get_task(self, task_id: str) -> BackgroundTask[Any] | None:
        """Return a task that has not ended, by its id."""
        return self._tasks.get(task_id)

    def get_tasks(self, tt: str | None = None) -> dict[str, BackgroundTask[Any]]:
        """Return the tasks that have not ended, by their ids; `tt`: those of one type."""
        return {task.id: task for task in self._tasks.all() if tt in (None, task.tt)}

    def mark_task_completed(
        self, task: BackgroundTask[Any] | None = None, task_id: str | None = None, tt: object = None
    ) -> bool:
        """Return whether a task is known, as it is until its function returns.

        For the reference pages' sake: that return is what completes it.
        """
        del tt
        known = task_id if task is None else task.id
        return known is not None and self._tasks.get(known) is not None

    def note_launch(self, task: BackgroundTask[Any], late: float) -> None:
        """Log a task that begins late, and call the function for that.

        Later than `timeout_critical` seconds after it was queued it calls `timeout_critical_func`
        with the task, later than `timeout_warning` seconds `timeout_warning_func`.
        """
        if late > min(self.timeout_warning, self.timeout_critical):
            critical = late > self.timeout_critical
            log_late(task, late, critical=critical)
            hook = self.timeout_critical_func if critical else self.timeout_warning_func
            if hook is not None:
                call_late_hook(hook, task)
