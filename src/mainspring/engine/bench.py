"""The executors of one consumer: each kind made with the attempt that fits it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from mainspring.engine.attempts.attempt import Attempt
from mainspring.engine.children.answer import answer
from mainspring.engine.children.attempt import ChildAttempt
from mainspring.engine.children.cached import CachedChildAttempt
from mainspring.engine.claims.host import JobHost
from mainspring.executors.event_loop import AsyncExecutor
from mainspring.executors.process import ProcessExecutor
from mainspring.executors.thread import ThreadExecutor
from mainspring.processes.pool import ProcessPool

if TYPE_CHECKING:
    from mainspring.engine.charter import Charter
    from mainspring.engine.claims.exchange import Exchange
    from mainspring.engine.journal.journal import Journal
    from mainspring.engine.node.node import Node
    from mainspring.model.task import ExecutorKind
    from mainspring.protocols import Executor


class Bench:
    """Makes executors that share one attempt pipeline, and one way out: by journal and exchange."""

    def __init__(self, charter: Charter, node: Node, exchange: Exchange, journal: Journal) -> None:
        self._charter = charter
        self._note = journal.before(node.note)
        self._done = journal.after(exchange.put)
        self._done_here = journal.after(exchange.put_and_turn)
        self._hear = journal.hear
        tasks, codec, cache = charter.tasks, charter.codec, charter.cache
        completions = exchange.completions
        self._host = JobHost(tasks, codec, completions, lambda: exchange.draining)
        self._attempt = Attempt(
            tasks if cache is None else cache.over(tasks),
            codec,
            self._note,
            at=self._host,
            completed_inside=completions.outcomes,
        )

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
        if (cache := self._charter.cache) is not None:
            cache.watch(lambda claim: executor.held_since(claim) is not None)
        return executor

    def _process_executor(self, size: int, first_slot: int) -> ProcessExecutor:
        charter = self._charter
        pool = ProcessPool(
            size,
            handler=functools.partial(answer, limit_bytes=charter.codec.limit_bytes),
            name="mainspring-jobs",
            max_tasks_per_child=charter.settings.max_tasks_per_child,
            max_memory_per_child_bytes=charter.settings.max_memory_per_child,
        )
        child = ChildAttempt(self._attempt, charter.tasks, pool, self._note, hear=self._hear)
        cache = charter.cache
        attempt = child if cache is None else CachedChildAttempt(child, cache, charter.codec)
        return ProcessExecutor(
            size,
            attempt,
            self._done,
            pool=pool,
            done_here=self._done_here,
            first_slot=first_slot,
        )
