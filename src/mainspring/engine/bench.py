"""The executors of one consumer: each kind made with the attempt that fits it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from mainspring.engine.attempts.attempt import Attempt
from mainspring.engine.children.answer import answer
from mainspring.engine.children.attempt import ChildAttempt
from mainspring.engine.children.cached import CachedChildAttempt
from mainspring.executors.event_loop import AsyncExecutor
from mainspring.executors.process import ProcessExecutor
from mainspring.executors.thread import ThreadExecutor
from mainspring.supervision.processes.pool import ProcessPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.engine.cache.cache import JobCache
    from mainspring.engine.claims.host import JobHost
    from mainspring.engine.settings import WorkerSettings
    from mainspring.model.job import Outcome
    from mainspring.model.task import ExecutorKind, Registry
    from mainspring.protocols import Codec, Executor


class Bench:
    """Makes executors that share one attempt pipeline, and one way out for outcomes."""

    def __init__(  # noqa: PLR0913  # two ways out, who listens, what stands before bodies
        self,
        tasks: Registry,
        codec: Codec,
        note: Callable[[int, int, int], None],
        done: Callable[[Outcome], None],
        done_here: Callable[[Outcome], None],
        *,
        at: JobHost,
        settings: WorkerSettings,
        hear: Callable[[bytes], object],
        cache: JobCache | None = None,
    ) -> None:
        self._tasks = tasks
        self._cache = cache
        self._codec = codec
        self._note = note
        self._hear = hear
        self._done = done
        self._done_here = done_here
        self._host = at
        self._settings = settings
        covered = tasks if cache is None else cache.over(tasks)
        inside = at.completions.outcomes
        self._attempt = Attempt(covered, codec, note, at=at, completed_inside=inside)

    def executor(self, kind: ExecutorKind, size: int, first_slot: int) -> Executor:
        """Return an executor of `size` slots, numbered from `first_slot`."""
        executor = self._new_executor(kind, size, first_slot)
        self._host.executors.append(executor)
        return executor

    def _new_executor(self, kind: ExecutorKind, size: int, first_slot: int) -> Executor:
        if kind == "async":
            return AsyncExecutor(size, self._attempt, self._done, first_slot=first_slot)
        if kind == "thread":
            return self._thread_executor(size, first_slot)
        return self._process_executor(size, first_slot)

    def _thread_executor(self, size: int, first_slot: int) -> ThreadExecutor:
        executor = ThreadExecutor(
            size, self._attempt, self._done, done_here=self._done_here, first_slot=first_slot
        )
        if self._cache is not None:
            self._cache.watch(lambda claim: executor.held_since(claim) is not None)
        return executor

    def _process_executor(self, size: int, first_slot: int) -> ProcessExecutor:
        handler = functools.partial(answer, limit_bytes=self._codec.limit_bytes)
        pool = ProcessPool(
            size,
            handler=handler,
            name="mainspring-jobs",
            max_tasks_per_child=self._settings.max_tasks_per_child,
            max_memory_per_child_bytes=self._settings.max_memory_per_child,
        )
        child = ChildAttempt(self._attempt, self._tasks, pool, self._note, hear=self._hear)
        cache = self._cache
        attempt = child if cache is None else CachedChildAttempt(child, cache, self._codec)
        return ProcessExecutor(
            size,
            attempt,
            self._done,
            pool=pool,
            done_here=self._done_here,
            first_slot=first_slot,
        )
