"""Attempts in child processes: a thread slot for each child, which asks and waits.

A child that dies costs its own attempt and no other; one that runs too long is killed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from mainspring.executors.thread import ThreadAttempt, ThreadExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.model.job import Claim, Outcome
    from mainspring.protocols import Ear
    from mainspring.supervision.processes.pool import ProcessPool


class ProcessAttempt(ThreadAttempt, Protocol):
    """A thread slot's attempt whose body is in a child."""

    def ask(self, slot: int, outcome: Callable[[Claim], Outcome]) -> None:
        """Say what the outcome is to be when the slot's child is killed now."""
        ...


class ProcessExecutor:
    """As many slots as `pool` has children. Outcomes go to `done`, from the slots' threads."""

    kind = "process"
    interruptible = True

    def __init__(  # noqa: PLR0913  # two ways out, and where it stands
        self,
        size: int,
        attempt: ProcessAttempt,
        done: Callable[[Outcome], None],
        *,
        pool: ProcessPool,
        done_here: Callable[[Outcome], None] | None = None,
        first_slot: int = 0,
    ) -> None:
        self.name = "process executor"
        self.size = size
        self._attempt = attempt
        self._pool = pool
        self._threads = ThreadExecutor(
            size, attempt, done, done_here=done_here, first_slot=first_slot, kind=self.kind
        )

    def submit(self, claims: Sequence[Claim]) -> None:
        """Queue claims for the slots."""
        self._threads.submit(claims)

    def hear(self, ear: Ear, heard: Callable[[], None]) -> None:
        """Let one idle slot at a time wait at `ear`, and call `heard` in its thread."""
        self._threads.hear(ear, heard)

    def withdraw(self, count: int) -> list[Claim]:
        """Take back up to `count` claims, oldest first, whose body has not begun."""
        return self._threads.withdraw(count)

    def waiting(self) -> int:
        """How many claims no slot has taken yet."""
        return self._threads.waiting()

    def running(self) -> int:
        """How many attempts run now."""
        return self._threads.running()

    def began(self) -> float:
        """Return when the oldest running attempt began (monotonic), infinity if none runs."""
        return self._threads.began()

    def interrupt(self, outcome: Callable[[Claim], Outcome]) -> None:
        """Kill the child of every running attempt, with that outcome."""
        for slot in self._threads.busy():
            self._attempt.ask(slot, outcome)
            self._pool.kill(slot)

    async def run(self, started: Callable[[], None]) -> None:
        """Keep children and slots alive until closed; the children go last."""
        children = asyncio.create_task(self._pool.run(_nothing))
        try:
            await self._threads.run(started)
        finally:
            self._pool.close(0)
            await asyncio.wait([children])

    def close(self) -> None:
        """End the slots once what was submitted has run."""
        self._threads.close()


def _nothing() -> None:
    """Tell nobody: the slots say when they are ready, and wait for children themselves."""
