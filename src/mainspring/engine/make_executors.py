"""The executors of one consumer: each kind made with the attempt that fits it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.engine.attempts.attempt import Attempt
from mainspring.engine.claims.claim_context import ClaimContext
from mainspring.executors.event_loop import AsyncExecutor
from mainspring.executors.thread import ThreadExecutor

if TYPE_CHECKING:
    from mainspring.engine.attempts.resources import Resources
    from mainspring.engine.claims.exchange import Exchange
    from mainspring.engine.consumer_config import ConsumerConfig
    from mainspring.engine.journal.writer import JournalWriter
    from mainspring.engine.node.node import Node
    from mainspring.model.task import ExecutorKind
    from mainspring.protocols import Executor


class ExecutorFactory:
    """Makes executors that share one attempt pipeline, and one way out: by journal and exchange."""

    def __init__(
        self,
        config: ConsumerConfig,
        node: Node,
        exchange: Exchange,
        journal: JournalWriter,
        *,
        resources: Resources,
    ) -> None:
        self._config = config
        self._note = journal.begin_after(node)
        self._done = journal.end_before(exchange.put)
        self._done_here = journal.end_before(exchange.put_and_turn)
        self._on_note = journal.receive
        tasks, codec, cache = config.tasks, config.codec, config.cache
        completions = exchange.completions
        self._host = ClaimContext(tasks, codec, completions, lambda: exchange.draining)
        self._attempt = Attempt(
            tasks.by_name,
            codec,
            self._note,
            at=self._host,
            completed_inside=completions.outcomes,
            middleware=config.middleware,
            resources=resources,
            events=config.events,
            covered=None if cache is None else cache.over(tasks),
        )
        self._resources = resources

    def executor(self, kind: ExecutorKind, size: int, first_slot: int) -> Executor:
        """Return an executor of `size` slots, numbered from `first_slot`."""
        executor = self._new_executor(kind, size, first_slot)
        self._host.executors.append(executor)
        return executor

    def _new_executor(self, kind: ExecutorKind, size: int, first_slot: int) -> Executor:
        if kind == "async":
            return AsyncExecutor(
                size,
                self._attempt,
                self._done,
                first_slot=first_slot,
                at_end=self._resources.aclose,
            )
        if kind == "thread":
            return self._thread_executor(size, first_slot)
        return self._process_executor(size, first_slot)

    def _thread_executor(self, size: int, first_slot: int) -> ThreadExecutor:
        executor = ThreadExecutor(
            size, self._attempt, self._done, done_here=self._done_here, first_slot=first_slot
        )
        if (cache := self._config.cache) is not None:
            cache.watch(lambda claim: executor.held_since(claim) is not None)
        return executor

    def _process_executor(self, size: int, first_slot: int) -> Executor:
        # A worker without such tasks needs none of the modules of child processes.
        from mainspring.engine.process_executor import process_executor  # noqa: PLC0415

        return process_executor(
            self._config,
            self._attempt,
            note=self._note,
            on_note=self._on_note,
            done=self._done,
            done_here=self._done_here,
            size=size,
            first_slot=first_slot,
        )
