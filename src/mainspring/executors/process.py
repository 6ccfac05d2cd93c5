"""Attempts in child processes: a thread slot for each child, which asks and waits.

A child that dies costs its own attempt and no other; one that runs too long is killed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from mainspring.executors.thread import ThreadAttempt, ThreadExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from mainspring.model.job import Claim, Grant, Outcome
    from mainspring.processes.pool import ProcessPool
    from mainspring.protocols import ExecutorLoad, Listener


NO_ANSWER = (
    "its child process has not answered: it is suspended, or the system has no signal for it"
)
NO_CHILD = "no child process runs it yet, or any more"


class ProcessAttempt(ThreadAttempt, Protocol):
    """A thread slot's attempt whose body is in a child."""

    def kill(self, claim: Claim, outcome: Callable[[Claim], Outcome]) -> None:
        """Kill the child that runs this very claim, which ends with that outcome."""
        ...


class ProcessExecutor:
    """As many slots as `pool` has children. Outcomes go to `done`, from the slots' threads."""

    kind = "process"

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

    def listen_when_idle(self, listener: Listener, on_notice: Callable[[], None]) -> None:
        """Have one idle slot at a time wait at `listener`, and call `on_notice` in its thread."""
        self._threads.listen_when_idle(listener, on_notice)

    def withdraw(self, count: int) -> list[Claim]:
        """Return up to `count` claims, oldest first, whose body has not begun."""
        return self._threads.withdraw(count)

    def waiting(self) -> int:
        """Return the number of claims that no slot has taken yet."""
        return self._threads.waiting()

    def load(self) -> ExecutorLoad:
        """Return what it has to do."""
        return self._threads.load()

    def lag(self) -> None:
        """Return None: there is no loop."""

    def held_since(self, claim: Claim) -> float | None:
        """Return when the slot began that runs this very claim, None if none does (any more)."""
        return self._threads.held_since(claim)

    def whereabouts(self, job_ids: Collection[str]) -> list[tuple[Claim, str]]:
        """Return for each body of these jobs its claim and its child's stack."""
        claims = [claim for claim in self._threads.claims() if claim.id in job_ids]
        return [(claim, self._stack_of(claim)) for claim in claims]

    def _stack_of(self, claim: Claim) -> str:
        stack = self._pool.stack_of((claim.key, claim.fence))
        return NO_CHILD if stack is None else stack or NO_ANSWER

    def interrupt(
        self, outcome: Callable[[Claim], Outcome], grants: Collection[Grant] | None = None
    ) -> None:
        """Kill the children of running attempts, with that outcome: all, or those of `grants`."""
        if grants is not None:
            self._threads.refuse(outcome, grants)
        for claim in self._threads.claims():
            if grants is None or (claim.key, claim.fence) in grants:
                self._attempt.kill(claim, outcome)

    def announce_stop(self) -> None:
        """Announce to bodies that the worker is to stop."""
        self._pool.announce_stop()

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
    """Do nothing: the slots say when they are ready, and wait for children themselves."""
