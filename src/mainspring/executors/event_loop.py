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
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from mainspring.supervision.loops.event_loop import EventLoopThread

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence

    from mainspring.model.job import Claim, Grant, Outcome

C = TypeVar("C")
O = TypeVar("O")  # noqa: E741  # outcomes: no number
In_contra = TypeVar("In_contra", contravariant=True)
Got_co = TypeVar("Got_co", covariant=True)

FAIR_SHARE = 32
"""A slot whose bodies never wait lets others of the loop run after so many."""


class AsyncAttempt(Protocol[In_contra, O]):
    """What a coroutine slot needs of an attempt."""

    def arun(
        self, claim: In_contra, slot: int, asked: Callable[[float], O | None]
    ) -> Coroutine[Any, Any, O]:
        """Run it in the caller's task; never raises."""
        ...

    def timeout(self, claim: In_contra) -> float | None:
        """Return its time limit in seconds."""
        ...

    def timed_out(self, claim: In_contra, began: float) -> O:
        """Return its outcome when it ran past the limit."""
        ...


class Inbox(Protocol[Got_co]):
    """Where claims wait for a slot."""

    def popleft(self) -> Got_co:
        """Take the next claim out; IndexError if none waits."""
        ...

    def __len__(self) -> int: ...


class Slot(Generic[C, O]):
    """One place for one body at a time."""

    __slots__ = ("began", "claim", "number", "ousted", "task", "verdict")

    def __init__(self, number: int) -> None:
        self.number = number
        self.began = 0.0
        self.claim: C | None = None
        self.ousted: tuple[C, Callable[[C], O]] | None = None
        self.task: asyncio.Task[None] | None = None
        self.verdict: Callable[[float], O] | None = None

    def asked(self, began: float) -> O | None:
        """Return the outcome of the interruption that was asked for, None if none was."""
        if self.verdict is None and self.ousted is not None and self.ousted[0] is self.claim:
            # The loop has not heard of it yet, but the body has, and ended by itself.
            claim, outcome = self.ousted
            return outcome(claim)
        return None if self.verdict is None else self.verdict(began)

    def holds(self, claim: C) -> bool:
        """Whether this very claim runs in it, and is not to be interrupted."""
        ousted = self.ousted is not None and self.ousted[0] is claim
        return self.claim is claim and self.verdict is None and not ousted

    def interrupt(self, verdict: Callable[[float], O]) -> None:
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
    abandoned = 0

    def __init__(
        self,
        size: int,
        attempt: AsyncAttempt[Claim, Outcome],
        done: Callable[[Outcome], None],
        *,
        first_slot: int = 0,
    ) -> None:
        self.name = "async executor"
        self.size = size
        self._inbox: deque[Claim] = deque()
        self._done = done
        self._crew = Crew(range(first_slot, first_slot + size), self._inbox, attempt, done)
        self._thread = EventLoopThread("mainspring-async")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._asked_at: float | None = None
        self._lag = 0.0

    def submit(self, claims: Sequence[Claim]) -> None:
        """Queue claims for the slots."""
        self._inbox.extend(claims)
        self._on_loop(self._crew.rouse)

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
        return self._crew.busy

    def began(self) -> float:
        """Return when the oldest running body began (monotonic), infinity if none runs."""
        return self._crew.began()

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
        return self._crew.held_since(claim)

    def interrupt(
        self, outcome: Callable[[Claim], Outcome], grants: Collection[Grant] | None = None
    ) -> None:
        """Cancel running bodies, with that outcome: all, or those of `grants`."""
        chosen = _every if grants is None else partial(_is_of, grants)
        self._crew.oust(outcome, chosen)
        if grants is not None:
            self._on_loop(partial(self._end_waiting, outcome, grants))
        self._on_loop(partial(self._crew.interrupt_all, outcome, chosen))

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
        self._crew.close()
        self._on_loop(self._crew.rouse_all)
        self._thread.close()

    def _end_waiting(self, outcome: Callable[[Claim], Outcome], grants: Collection[Grant]) -> None:
        for claim in list(self._inbox):
            if _is_of(grants, claim):
                # Withdrawn meanwhile, by another thread: then it ends there.
                with contextlib.suppress(ValueError):
                    self._inbox.remove(claim)
                    self._done(outcome(claim))

    async def _man_slots(self) -> None:
        await self._crew.man()
        # What bodies left running would keep the loop, and with it the worker, from ending.
        self._thread.cancel_all()

    def _on_loop(self, function: Callable[[], None]) -> None:
        # A loop that is closed has no slots any more.
        with contextlib.suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(function)


class Crew(Generic[C, O]):
    """The slots of one loop, each a coroutine that takes claims from `inbox` and runs them.

    All but `close` and the counts are for the loop's thread.
    """

    def __init__(
        self,
        numbers: Iterable[int],
        inbox: Inbox[C],
        attempt: AsyncAttempt[C, O],
        done: Callable[[O], None],
    ) -> None:
        self.busy = 0
        self.slots: list[Slot[C, O]] = [Slot(number) for number in numbers]
        self._inbox = inbox
        self._attempt = attempt
        self._done = done
        self._idle: deque[asyncio.Future[None]] = deque()
        self._rousing = False
        self._closed = False
        self._owner: asyncio.Task[Any] | None = None

    async def man(self) -> None:
        """Keep the slots manned until closed and the inbox is empty, or until cancelled."""
        self._owner = asyncio.current_task()
        tasks = [asyncio.create_task(self._work(slot)) for slot in self.slots]
        for slot, task in zip(self.slots, tasks, strict=True):
            slot.task = task
        await asyncio.gather(*tasks)

    def close(self) -> None:
        """End the slots once the inbox is empty; from any thread, followed by `rouse_all`."""
        self._closed = True

    @property
    def disbanded(self) -> bool:
        """Whether everything here is being cancelled, as when a loop ends."""
        return self._owner is not None and self._owner.cancelling() > 0

    def began(self) -> float:
        """Return when the oldest running body began (monotonic), infinity if none runs."""
        if not self.busy:
            return math.inf
        return min((slot.began for slot in self.slots if slot.claim is not None), default=math.inf)

    async def _work(self, slot: Slot[C, O]) -> None:
        streak = 0
        while (claim := await self._next_claim(slot)) is not None:
            await self._run(slot, claim)
            streak += 1
            if streak >= FAIR_SHARE:
                streak = 0
                await slot.settle()

    async def _next_claim(self, slot: Slot[C, O]) -> C | None:
        while not self.disbanded:
            try:
                claim = self._inbox.popleft()
            except IndexError:
                if self._closed:
                    return None
                await self._doze(slot)
                continue
            self.rouse()
            return claim
        return None

    async def _doze(self, slot: Slot[C, O]) -> None:
        idle = asyncio.get_running_loop().create_future()
        self._idle.append(idle)
        try:
            await idle
        except asyncio.CancelledError:
            # Nobody of ours cancels an idle slot but at the end: a body left this behind.
            if self._closed or self.disbanded:
                raise
            slot.forgive()
        finally:
            self._rousing = False

    async def _run(self, slot: Slot[C, O], claim: C) -> None:
        slot.claim, slot.began = claim, monotonic()
        self.busy += 1
        timeout = self._attempt.timeout(claim)
        timer = None if timeout is None else self._arm(slot, claim, timeout)
        outcome = await self._attempt.arun(claim, slot.number, slot.asked)
        if timer is not None:
            timer.cancel()
        slot.claim = None
        self.busy -= 1
        self._done(outcome)
        if slot.verdict is not None or slot.disturbed:
            await slot.settle()

    def _arm(self, slot: Slot[C, O], claim: C, timeout: float) -> asyncio.TimerHandle:
        overdue = partial(self._attempt.timed_out, claim)
        return asyncio.get_running_loop().call_later(timeout, slot.interrupt, overdue)

    def held_since(self, claim: C) -> float | None:
        """Return when the slot began that runs this very claim; from any thread.

        None if none does, or if it was ousted.
        """
        for slot in self.slots:
            if slot.holds(claim):
                return slot.began
        return None

    def oust(self, outcome: Callable[[C], O], chosen: Callable[[C], bool]) -> None:
        """Say that running bodies are to be interrupted with that outcome; from any thread.

        So a body that keeps the loop busy can learn it before the loop does.
        """
        for slot in self.slots:
            claim = slot.claim
            if claim is not None and chosen(claim):
                slot.ousted = claim, outcome

    def interrupt_all(
        self, outcome: Callable[[C], O], chosen: Callable[[C], bool] | None = None
    ) -> None:
        """Cancel every running body, or those that are chosen, with that outcome."""
        for slot in self.slots:
            if slot.claim is not None and (chosen is None or chosen(slot.claim)):
                slot.interrupt(partial(_verdict, outcome, slot.claim))

    def rouse(self) -> None:
        """Wake one idle slot for what waits; it wakes the next in its turn."""
        while self._idle and not self._rousing and self._inbox:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                self._rousing = True

    def rouse_all(self) -> None:
        """Wake every idle slot: there may be nothing more to come."""
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)


def _verdict(outcome: Callable[[C], O], claim: C, began: float) -> O:  # noqa: ARG001  # the seam's signature
    return outcome(claim)


def _every(claim: Claim) -> bool:  # noqa: ARG001  # one way to choose
    return True


def _is_of(grants: Collection[Grant], claim: Claim) -> bool:
    return (claim.key, claim.fence) in grants
