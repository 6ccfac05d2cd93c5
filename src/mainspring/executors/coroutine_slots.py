"""The slots of one event loop: each body runs in an asyncio task and a context of its own.

So nothing of it is left for the next: no context variable, no cancellation, no decimal context.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections import deque
from functools import partial
from inspect import CORO_CREATED, getcoroutinestate
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from mainspring.clock import monotonic
from mainspring.supervision.run_in_thread import whereabouts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from contextvars import Context

C = TypeVar("C")
O = TypeVar("O")  # noqa: E741  # outcomes: no number
In_contra = TypeVar("In_contra", contravariant=True)
Got_co = TypeVar("Got_co", covariant=True)

FAIR_SHARE = 32
"""After so many bodies that never waited, others of the loop may run."""

EAGER = sys.version_info >= (3, 12)
"""True if a body's task begins at once: one that never waits then needs no turn of the loop."""


class AsyncAttempt(Protocol[In_contra, O]):
    """An attempt, as a coroutine slot needs it."""

    def arun(
        self, claim: In_contra, slot: int, asked: Callable[[float], O | None]
    ) -> Coroutine[Any, Any, O]:
        """Run it in the caller's task; never raises."""
        ...

    def context(self, claim: In_contra, /) -> Context:
        """Return a context for its task, which nobody else uses."""
        ...

    def timeout(self, claim: In_contra) -> float | None:
        """Return its time limit in seconds."""
        ...

    def timed_out(self, claim: In_contra, began: float) -> O:
        """Return its outcome when it ran past the limit."""
        ...

    def failed(self, claim: In_contra, error: BaseException, began: float) -> O:
        """Return its outcome when it ended of an error; never raises."""
        ...


class Inbox(Protocol[Got_co]):
    """The claims that wait for a slot, in order."""

    def popleft(self) -> Got_co:
        """Remove and return the next claim; IndexError if none waits."""
        ...

    def __len__(self) -> int: ...


class BodyTask(asyncio.Task[None]):
    """The task of a body that does not begin at once.

    Cancelled before its first step it runs nothing, and calls `never_began`.
    """

    __slots__ = ("never_began",)

    never_began: Callable[[asyncio.Task[None]], object]

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel it as any task."""
        coroutine: Any = self.get_coro()
        if not self.done() and getcoroutinestate(coroutine) == CORO_CREATED:
            self.add_done_callback(self.never_began)
        return super().cancel(msg)


class CoroutineSlot(Generic[C, O]):
    """One place for one body at a time."""

    __slots__ = (
        "began",
        "claim",
        "interrupt_outcome",
        "interruption",
        "never_began",
        "number",
        "task",
        "timer",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.never_began: Callable[[asyncio.Task[None]], object] = _nobody
        self.began = 0.0
        self.claim: C | None = None
        self.interruption: tuple[C, Callable[[C], O]] | None = None
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.interrupt_outcome: Callable[[float], O] | None = None

    def asked(self, began: float) -> O | None:
        """Return the outcome of the interruption that was asked for, None if none was."""
        if (
            self.interrupt_outcome is None
            and self.interruption is not None
            and self.interruption[0] is self.claim
        ):
            # The loop does not know of it yet, but the body does, and ended by itself.
            claim, outcome = self.interruption
            return outcome(claim)
        return None if self.interrupt_outcome is None else self.interrupt_outcome(began)

    def holds(self, claim: C) -> bool:
        """Return whether this very claim runs in it, and is not to be interrupted."""
        interruption = self.interruption is not None and self.interruption[0] is claim
        return self.claim is claim and self.interrupt_outcome is None and not interruption

    def interrupt(self, outcome: Callable[[float], O]) -> None:
        """End the body that runs; on the loop's thread."""
        if self.interrupt_outcome is None and self.task is not None:
            self.interrupt_outcome = outcome
            self.task.cancel()

    def leave(self) -> None:
        """Free the slot for the next claim."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.claim = self.task = self.interruption = self.interrupt_outcome = None


class SlotGroup(Generic[C, O]):
    """The slots of one loop: each claim from `inbox` gets a slot, and there a task for its body.

    Except where `without_body` has an outcome for the claim, as of a kept result: a task costs more
    than all the rest of that.
    All but `close` and the counts are for the loop's thread.
    """

    def __init__(
        self,
        numbers: Iterable[int],
        inbox: Inbox[C],
        attempt: AsyncAttempt[C, O],
        done: Callable[[O], None],
        *,
        without_body: Callable[[C], O | None] | None = None,
    ) -> None:
        self.busy = 0
        self._without_body = without_body
        self.slots: list[CoroutineSlot[C, O]] = [CoroutineSlot(number) for number in numbers]
        self._inbox = inbox
        self._attempt = attempt
        self._done = done
        self._free = deque(self.slots)
        self._filling = False
        self._closed = False
        self._owner: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Future[None] | None = None
        for slot in self.slots:
            slot.never_began = partial(self._end_unbegun, slot)

    async def run(self) -> None:
        """Run what comes in until closed and the inbox is empty, or until cancelled."""
        self._owner = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self.fill_slots()
        try:
            await self._ended
        except asyncio.CancelledError:
            await self._cancel_bodies()
            raise

    def close(self) -> None:
        """End once the inbox is empty; from any thread, followed by `fill_slots`."""
        self._closed = True

    @property
    def is_cancelled(self) -> bool:
        """Return whether everything here is being cancelled, as when a loop ends."""
        return self._owner is not None and self._owner.cancelling() > 0

    def began(self) -> float:
        """Return when the oldest running body began (monotonic), infinity if none runs."""
        if not self.busy:
            return math.inf
        return min((slot.began for slot in self.slots if slot.claim is not None), default=math.inf)

    def wake(self) -> None:
        """Fill free slots with claims that wait, in the loop's next turn: the most urgent first."""
        if not self._filling and self._free and self._loop is not None:
            self._filling = True
            self._loop.call_soon(self.fill_slots)

    def fill_slots(self) -> None:
        """Fill free slots with claims that wait, and end if all is done."""
        self._filling = True
        share, cancelled = FAIR_SHARE, self.is_cancelled
        while self._free and share and not cancelled:
            try:
                claim = self._inbox.popleft()
            except IndexError:
                break
            self._begin(self._free.popleft(), claim)
            share -= 1
        self._filling = False
        if not share:
            self.wake()
        if self._closed and not self.busy and not len(self._inbox):
            self._end()

    def _end(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _begin(self, slot: CoroutineSlot[C, O], claim: C) -> None:
        slot.claim, slot.began = claim, monotonic()
        self.busy += 1
        try:
            if self._without_body is not None:
                outcome = self._without_body(claim)
                if outcome is not None:
                    self._leave(slot, outcome)
                    return
            timeout = self._attempt.timeout(claim)
            if timeout is not None:
                slot.timer = self._arm(slot, claim, timeout)
            self._start(slot, claim)
        except BaseException as error:  # noqa: BLE001  # the claim is ours: it gets an outcome
            self._leave(slot, self._attempt.failed(claim, error, slot.began))

    def _start(self, slot: CoroutineSlot[C, O], claim: C) -> None:
        # The task is made here, and not by the loop: its factory is somebody else's.
        body, context = self._live(slot, claim), self._attempt.context(claim)
        if sys.version_info >= (3, 12):
            asyncio.Task(body, loop=self._loop, context=context, eager_start=True)
        else:
            task = slot.task = BodyTask(body, loop=self._loop, context=context)
            task.never_began = slot.never_began

    async def _live(self, slot: CoroutineSlot[C, O], claim: C) -> None:
        if EAGER:
            slot.task = asyncio.current_task()
        outcome = await self._attempt.arun(claim, slot.number, slot.asked)
        # Here, not when the task is done: that would take a turn of the loop, and a task that was
        # cancelled as it ended keeps no result.
        try:
            self._leave(slot, outcome)
        finally:
            if EAGER:
                self.wake()
            else:
                self.fill_slots()

    def _end_unbegun(self, slot: CoroutineSlot[C, O], task: asyncio.Task[None]) -> None:
        claim, began = slot.claim, slot.began
        if claim is not None and slot.task is task:
            error = asyncio.CancelledError()
            self._leave(slot, slot.asked(began) or self._attempt.failed(claim, error, began))
            self.fill_slots()

    def _leave(self, slot: CoroutineSlot[C, O], outcome: O) -> None:
        slot.leave()
        self.busy -= 1
        self._free.append(slot)
        self._done(outcome)

    async def _cancel_bodies(self) -> None:
        if tasks := [slot.task for slot in self.slots if slot.task is not None]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _arm(self, slot: CoroutineSlot[C, O], claim: C, timeout: float) -> asyncio.TimerHandle:
        overdue = partial(self._attempt.timed_out, claim)
        return asyncio.get_running_loop().call_later(timeout, slot.interrupt, overdue)

    def held_since(self, claim: C) -> float | None:
        """Return when the slot began that runs this very claim; from any thread.

        None if none does, or if it is to be interrupted.
        """
        for slot in self.slots:
            if slot.holds(claim):
                return slot.began
        return None

    def whereabouts(self) -> list[tuple[C, str]]:
        """Return for each body that runs its claim and what it awaits; from any thread."""
        busy = [(slot.claim, slot.task) for slot in self.slots]
        return [(claim, whereabouts_of(task)) for claim, task in busy if claim is not None and task]

    def mark_interrupted(self, outcome: Callable[[C], O], chosen: Callable[[C], bool]) -> None:
        """Mark running bodies as interrupted with that outcome; from any thread.

        So a body that keeps the loop busy can learn it before the loop does.
        """
        for slot in self.slots:
            claim = slot.claim
            if claim is not None and chosen(claim):
                slot.interruption = claim, outcome

    def interrupt_all(
        self, outcome: Callable[[C], O], chosen: Callable[[C], bool] | None = None
    ) -> None:
        """Cancel every running body, or those that are chosen, with that outcome."""
        for slot in self.slots:
            if slot.claim is not None and (chosen is None or chosen(slot.claim)):
                slot.interrupt(partial(_outcome_now, outcome, slot.claim))


def _nobody(task: asyncio.Task[None]) -> None:
    """Do nothing: the slot is in no group yet."""


def _outcome_now(outcome: Callable[[C], O], claim: C, began: float) -> O:  # noqa: ARG001  # the seam's signature
    return outcome(claim)
