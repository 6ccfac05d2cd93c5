"""Attempts of coroutine tasks, on a loop of their own: what blocks it blocks nothing of ours."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.executors.coroutine_slots import SlotGroup
from mainspring.protocols import ExecutorLoad
from mainspring.supervision.loops.event_loop import EventLoopThread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from mainspring.executors.coroutine_slots import AsyncAttempt
    from mainspring.model.job import Claim, Grant, Outcome


class AsyncExecutor:
    """`size` coroutines on a loop thread that run attempts. Outcomes go to `done`, from there.

    `at_end` is awaited on that loop once the last has ended.
    """

    kind = "async"

    def __init__(
        self,
        size: int,
        attempt: AsyncAttempt[Claim, Outcome],
        done: Callable[[Outcome], None],
        *,
        first_slot: int = 0,
        at_end: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.name = "async executor"
        self._at_end = at_end
        self.size = size
        self._inbox: deque[Claim] = deque()
        self._done = done
        self._slots_of_loop = SlotGroup(
            range(first_slot, first_slot + size), self._inbox, attempt, done
        )
        self._thread = EventLoopThread("mainspring-async")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._asked_at: float | None = None
        self._lag = 0.0

    def submit(self, claims: Sequence[Claim]) -> None:
        """Queue claims for the slots."""
        self._inbox.extend(claims)
        self._on_loop(self._slots_of_loop.wake)

    def withdraw(self, count: int) -> list[Claim]:
        """Return up to `count` claims, oldest first, whose body has not begun."""
        claims: list[Claim] = []
        with contextlib.suppress(IndexError):
            while len(claims) < count:
                claims.append(self._inbox.popleft())
        return claims

    def waiting(self) -> int:
        """Return the number of claims that no slot has taken yet."""
        return len(self._inbox)

    def load(self) -> ExecutorLoad:
        """Return what it has to do."""
        slots = self._slots_of_loop
        return ExecutorLoad(len(self._inbox), slots.busy, slots.began())

    def lag(self) -> float | None:
        """Return how long the loop kept the last call of this waiting, or has kept it by now."""
        asked_at, last, now = self._asked_at, self._lag, monotonic()
        if self._loop is None:
            return None
        if asked_at is None:
            self._asked_at = now
            self._on_loop(partial(self._answer, now))
            return last
        return max(last, now - asked_at)

    def _answer(self, asked_at: float) -> None:
        self._lag, self._asked_at = monotonic() - asked_at, None

    def held_since(self, claim: Claim) -> float | None:
        """Return when the slot began that runs this very claim, None if none does (any more)."""
        return self._slots_of_loop.held_since(claim)

    def whereabouts(self, job_ids: Collection[str]) -> list[tuple[Claim, str]]:
        """Return for each body of these jobs its claim and what it awaits."""
        found = self._slots_of_loop.whereabouts()
        return [(claim, stack) for claim, stack in found if claim.id in job_ids]

    def interrupt(
        self, outcome: Callable[[Claim], Outcome], grants: Collection[Grant] | None = None
    ) -> None:
        """Cancel running bodies, with that outcome: all, or those of `grants`."""
        chosen = _every if grants is None else partial(_is_of, grants)
        self._slots_of_loop.mark_interrupted(outcome, chosen)
        if grants is not None:
            self._on_loop(partial(self._end_waiting, outcome, grants))
        self._on_loop(partial(self._slots_of_loop.interrupt_all, outcome, chosen))

    def announce_stop(self) -> None:
        """Do nothing: bodies in this process see it by themselves."""

    async def run(self, started: Callable[[], None]) -> None:
        """Keep the loop and its slots alive until closed."""
        ready = asyncio.Event()
        thread = asyncio.create_task(self._thread.run(ready.set))
        try:
            await ready.wait()
            if not self._closed:
                self._loop = self._thread.loop
                self._thread.submit(self._run_slots())
            started()
            await asyncio.shield(thread)
        except asyncio.CancelledError:
            self._closed = True
            self._inbox.clear()
            thread.cancel()
            await asyncio.wait([thread])
            raise

    def close(self) -> None:
        """End the slots once what they run has ended."""
        self._closed = True
        self._slots_of_loop.close()
        self._on_loop(self._slots_of_loop.fill_slots)
        self._thread.close()

    def _end_waiting(self, outcome: Callable[[Claim], Outcome], grants: Collection[Grant]) -> None:
        for claim in list(self._inbox):
            if _is_of(grants, claim):
                # Withdrawn meanwhile, by another thread: then it ends there.
                with contextlib.suppress(ValueError):
                    self._inbox.remove(claim)
                    self._done(outcome(claim))

    async def _run_slots(self) -> None:
        await self._slots_of_loop.run()
        if self._at_end is not None:
            await self._at_end()
        # What bodies left running would keep the loop, and with it the worker, from ending.
        self._thread.cancel_all()

    def _on_loop(self, function: Callable[[], None]) -> None:
        # A loop that is closed has no slots any more.
        with contextlib.suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(function)


def _every(claim: Claim) -> bool:  # noqa: ARG001  # one way to choose
    return True


def _is_of(grants: Collection[Grant], claim: Claim) -> bool:
    return (claim.key, claim.fence) in grants
