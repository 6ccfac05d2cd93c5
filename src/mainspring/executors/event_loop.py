"""Attempts of coroutine tasks, on a loop of their own: what blocks it blocks nothing of ours.

A body runs inside its slot's coroutine (an asyncio.Task a body costs twice as much); ending a body
means cancelling its slot, which then takes the next claim.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from mainspring.supervision.event_loop import EventLoopThread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.model.job import Claim, Outcome

FAIR_SHARE = 32
"""A slot whose bodies never wait lets others of the loop run after so many."""


class AsyncAttempt(Protocol):
    """What a coroutine slot needs of an attempt."""

    async def arun(
        self, claim: Claim, slot: int, asked: Callable[[float], Outcome | None]
    ) -> Outcome:
        """Run it in the caller's task; never raises."""
        ...

    def timeout(self, claim: Claim) -> float | None:
        """Return its time limit in seconds."""
        ...

    def timed_out(self, claim: Claim, began: float) -> Outcome:
        """Return its outcome when it ran past the limit."""
        ...


class Slot:
    """One place for one body at a time."""

    __slots__ = ("began", "claim", "number", "task", "verdict")

    def __init__(self, number: int) -> None:
        self.number = number
        self.began = 0.0
        self.claim: Claim | None = None
        self.task: asyncio.Task[None] | None = None
        self.verdict: Callable[[float], Outcome] | None = None

    def asked(self, began: float) -> Outcome | None:
        """Return the outcome of the interruption that was asked for, None if none was."""
        return None if self.verdict is None else self.verdict(began)

    def interrupt(self, verdict: Callable[[float], Outcome]) -> None:
        """End the body that runs; on the loop's thread."""
        if self.verdict is None and self.task is not None:
            self.verdict = verdict
            self.task.cancel()

    @property
    def disturbed(self) -> bool:
        """Whether its task was cancelled: by us, or by what the body left behind."""
        return self.task is not None and self.task.cancelling() > 0

    async def settle(self) -> None:
        """Leave a cancellation behind, also one that came when the body had just ended."""
        self.verdict = None
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        self.forgive()

    def forgive(self) -> None:
        """Count no cancellation that is past: the next body must not see it."""
        while self.task is not None and self.task.cancelling():
            self.task.uncancel()


class AsyncExecutor:
    """`size` coroutines on a loop thread that run attempts. Outcomes go to `done`, from there."""

    kind = "async"
    interruptible = True

    def __init__(
        self,
        size: int,
        attempt: AsyncAttempt,
        done: Callable[[Outcome], None],
        *,
        first_slot: int = 0,
    ) -> None:
        self.name = "async executor"
        self.size = size
        self._attempt = attempt
        self._done = done
        self._inbox: deque[Claim] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._slots = [Slot(first_slot + number) for number in range(size)]
        self._thread = EventLoopThread("mainspring-async")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rousing = False
        self._busy = 0
        self._closed = False

    def submit(self, claims: Sequence[Claim]) -> None:
        """Queue claims for the slots."""
        self._inbox.extend(claims)
        self._on_loop(self._rouse)

    def withdraw(self, count: int) -> list[Claim]:
        """Take back up to `count` claims, oldest first, whose body has not begun."""
        claims: list[Claim] = []
        with contextlib.suppress(IndexError):
            while len(claims) < count:
                claims.append(self._inbox.popleft())
        return claims

    def waiting(self) -> int:
        """How many claims no slot has taken yet."""
        return len(self._inbox)

    def running(self) -> int:
        """How many bodies run now."""
        return self._busy

    def began(self) -> float:
        """Return when the oldest running body began (monotonic), infinity if none runs."""
        if not self._busy:
            return math.inf
        return min((slot.began for slot in self._slots if slot.claim is not None), default=math.inf)

    def interrupt(self, outcome: Callable[[Claim], Outcome]) -> None:
        """Cancel every running body, with that outcome."""
        self._on_loop(partial(self._interrupt_all, outcome))

    async def run(self, started: Callable[[], None]) -> None:
        """Keep the loop and its slots alive until closed."""
        ready = asyncio.Event()
        thread = asyncio.create_task(self._thread.run(ready.set))
        try:
            await ready.wait()
            if not self._closed:
                self._loop = self._thread.loop
                self._thread.submit(self._man_slots())
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
        self._on_loop(self._rouse_all)
        self._thread.close()

    async def _man_slots(self) -> None:
        tasks = [asyncio.create_task(self._work(slot)) for slot in self._slots]
        for slot, task in zip(self._slots, tasks, strict=True):
            slot.task = task
        await asyncio.gather(*tasks)
        # What bodies left running would keep the loop, and with it the worker, from ending.
        self._thread.cancel_all()

    async def _work(self, slot: Slot) -> None:
        streak = 0
        while (claim := await self._next_claim(slot)) is not None:
            await self._run(slot, claim)
            streak += 1
            if streak >= FAIR_SHARE:
                streak = 0
                await slot.settle()

    async def _next_claim(self, slot: Slot) -> Claim | None:
        while True:
            try:
                claim = self._inbox.popleft()
            except IndexError:
                if self._closed:
                    return None
                await self._doze(slot)
                continue
            self._rouse()
            return claim

    async def _doze(self, slot: Slot) -> None:
        idle = asyncio.get_running_loop().create_future()
        self._idle.append(idle)
        try:
            await idle
        except asyncio.CancelledError:
            # Nobody of ours cancels an idle slot but at the end: a body left this behind.
            if self._closed:
                raise
            slot.forgive()
        finally:
            self._rousing = False

    async def _run(self, slot: Slot, claim: Claim) -> None:
        slot.claim, slot.began = claim, monotonic()
        self._busy += 1
        timeout = self._attempt.timeout(claim)
        timer = None if timeout is None else self._arm(slot, claim, timeout)
        outcome = await self._attempt.arun(claim, slot.number, slot.asked)
        if timer is not None:
            timer.cancel()
        slot.claim = None
        self._busy -= 1
        self._done(outcome)
        if slot.verdict is not None or slot.disturbed:
            await slot.settle()

    def _arm(self, slot: Slot, claim: Claim, timeout: float) -> asyncio.TimerHandle:
        overdue = partial(self._attempt.timed_out, claim)
        return asyncio.get_running_loop().call_later(timeout, slot.interrupt, overdue)

    def _interrupt_all(self, outcome: Callable[[Claim], Outcome]) -> None:
        for slot in self._slots:
            if slot.claim is not None:
                slot.interrupt(partial(_verdict, outcome, slot.claim))

    def _rouse(self) -> None:
        """Wake one idle slot for what waits; it wakes the next in its turn."""
        while self._inbox and self._idle and not self._rousing:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                self._rousing = True

    def _rouse_all(self) -> None:
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)

    def _on_loop(self, function: Callable[[], None]) -> None:
        # A loop that is closed has no slots any more.
        with contextlib.suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(function)


def _verdict(outcome: Callable[[Claim], Outcome], claim: Claim, began: float) -> Outcome:  # noqa: ARG001  # the seam's signature
    return outcome(claim)
