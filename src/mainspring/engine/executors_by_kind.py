"""The executors of one consumer, one for each kind of task, made when the first such task comes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from mainspring.engine.claims.slots import Slots
from mainspring.model.place import check_imported
from mainspring.model.task import EXECUTOR_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.engine.claims.exchange import Exchange
    from mainspring.engine.make_executors import ExecutorFactory
    from mainspring.engine.settings import WorkerSettings
    from mainspring.model.task import ExecutorKind, Registry
    from mainspring.protocols import Executor


class ExecutorsByKind:
    """Has the exchange claim each registered task for the executor that can run it. Thread-safe.

    Each kind has its own range of slots on the node's board, whether it has an executor or not.
    """

    def __init__(
        self,
        tasks: Registry,
        settings: WorkerSettings,
        factory: ExecutorFactory,
        exchange: Exchange,
    ) -> None:
        self.all: list[Executor] = []
        self._tasks = tasks
        self._settings = settings
        self._factory = factory
        self._exchange = exchange
        self._slots: dict[ExecutorKind, Slots] = {}
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Make what the tasks need that are registered; before the start.

        Raises TaskNotImportable for one that no child process would find.
        """
        for task in self._tasks:
            if task.executor == "process":
                check_imported(task.name, task.function)
        for kind in EXECUTOR_KINDS:
            if names := tuple(one.name for one in self._tasks if one.executor == kind):
                slots = self._new_slots(kind, names)
                self._exchange.serve(slots)
                self._note(kind, slots)

    def follow(self, start: Callable[[Executor], object]) -> None:
        """Serve the tasks that have come since; `start` runs the executors that they need."""
        with self._lock:
            moves = {}
            for task in self._tasks:
                slots = self._slots.get(task.executor)
                if slots is None:
                    slots = self._new_slots(task.executor, ())
                    start(slots.executor)
                    self._note(task.executor, slots)
                if task.name not in slots.tasks:
                    moves[task.name] = slots
            if moves:
                self._exchange.move(moves)

    def _new_slots(self, kind: ExecutorKind, names: tuple[str, ...]) -> Slots:
        first_slot = sum(size_of(one, self._settings) for one in _before(kind))
        executor = self._factory.executor(kind, size_of(kind, self._settings), first_slot)
        return Slots(executor, names)

    def _note(self, kind: ExecutorKind, slots: Slots) -> None:
        # Last: if an exception has ended the start of an executor, who comes next starts another.
        self.all.append(slots.executor)
        self._slots[kind] = slots


def size_of(kind: ExecutorKind, settings: WorkerSettings) -> int:
    """Return how many attempts of a kind run at once."""
    return settings.async_slots if kind == "async" else settings.workers


def board_size(settings: WorkerSettings) -> int:
    """Return how many slots a node may come to have."""
    return sum(size_of(kind, settings) for kind in EXECUTOR_KINDS)


def _before(kind: ExecutorKind) -> tuple[ExecutorKind, ...]:
    return EXECUTOR_KINDS[: EXECUTOR_KINDS.index(kind)]
