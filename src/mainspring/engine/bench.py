"""The executors of one consumer: each kind made with the attempt that fits it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from mainspring.engine.attempt import Attempt
from mainspring.engine.child import ChildAttempt, answer
from mainspring.executors.event_loop import AsyncExecutor
from mainspring.executors.process import ProcessExecutor
from mainspring.executors.thread import ThreadExecutor
from mainspring.supervision.processes.pool import ProcessPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.model.job import Outcome
    from mainspring.model.task import ExecutorKind, Registry
    from mainspring.protocols import Codec, Executor


class Bench:
    """Makes executors that share one attempt pipeline, and one way out for outcomes."""

    def __init__(
        self,
        tasks: Registry,
        codec: Codec,
        note: Callable[[int, int, int], None],
        done: Callable[[Outcome], None],
        done_here: Callable[[Outcome], None],
    ) -> None:
        self._tasks = tasks
        self._limit_bytes = codec.limit_bytes
        self._note = note
        self._done = done
        self._done_here = done_here
        self._attempt = Attempt(tasks, codec, note)

    def executor(self, kind: ExecutorKind, size: int, first_slot: int) -> Executor:
        """Return an executor of `size` slots, numbered from `first_slot`."""
        if kind == "async":
            return AsyncExecutor(size, self._attempt, self._done, first_slot=first_slot)
        if kind == "thread":
            return ThreadExecutor(
                size, self._attempt, self._done, done_here=self._done_here, first_slot=first_slot
            )
        return self._process_executor(size, first_slot)

    def _process_executor(self, size: int, first_slot: int) -> ProcessExecutor:
        handler = functools.partial(answer, limit_bytes=self._limit_bytes)
        pool = ProcessPool(size, handler=handler, name="mainspring-jobs")
        attempt = ChildAttempt(self._attempt, self._tasks, pool, self._note)
        return ProcessExecutor(
            size,
            attempt,
            self._done,
            pool=pool,
            done_here=self._done_here,
            first_slot=first_slot,
        )
