"""The worker of the bodies that run in it, and what it does for them: behind `current_job`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from mainspring.engine.attempts.waits import Wait, Waits
from mainspring.model.job_options import task_with

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from mainspring.engine.attempts.attempt import Tasks
    from mainspring.engine.attempts.running import Awaited
    from mainspring.engine.claims.complete_in import Completions
    from mainspring.model.job import Claim
    from mainspring.protocols import Codec, Executor


class ClaimContext:
    """The host of bodies in threads and on the event loop of one consumer."""

    def __init__(
        self,
        tasks: Tasks,
        codec: Codec,
        completions: Completions,
        stopping: Callable[[], bool],
    ) -> None:
        self._tasks = tasks
        self._codec = codec
        self._stopping = stopping
        self.completions = completions
        self.executors: list[Executor] = []
        self.waiting = Waits(self._size)

    @property
    def stopping(self) -> bool:
        """Return whether the worker was asked to stop."""
        return self._stopping()

    def holds(self, claim: Claim) -> bool:
        """Return whether the attempt still counts."""
        return self._held_since(claim) is not None

    def complete_in(self, claim: Claim, connection: Any, result: object) -> None:
        """Complete the job in the transaction that is open on `connection`."""
        began = self._held_since(claim) or 0.0
        keep = task_with(self._tasks[claim.task], claim.options).keep_result
        encoded = self._codec.encode_result(result, claim.task)
        self.completions.complete(claim, connection, encoded, began=began, keep=keep)

    def waits(self, claim: Claim, awaited: Awaited) -> AbstractContextManager[None]:
        """Return a block in which the body waits for that job; warns if all slots do so."""
        slots = self._tasks[claim.task].executor
        live = partial(self.holds, claim)
        return self.waiting.noted(Wait(claim.id, claim.task, slots, awaited, live, claim.fence))

    def _size(self, kind: str) -> int:
        return sum(executor.size for executor in self.executors if executor.kind == kind)

    def _held_since(self, claim: Claim) -> float | None:
        moments = (executor.held_since(claim) for executor in self.executors)
        return next((moment for moment in moments if moment is not None), None)
