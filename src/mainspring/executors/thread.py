"""Attempts in threads: one thread a slot, which takes claims from a queue and gives outcomes back.

A thread can't be ended from outside. At its deadline the attempt is failed, the thread is abandoned
to finish in its own time, and another takes its slot.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
from itertools import islice
from queue import Empty, SimpleQueue
from threading import get_ident
from typing import TYPE_CHECKING, Protocol

from mainspring.clock import monotonic
from mainspring.executors.thread_slot import Hold, ThreadSlot
from mainspring.protocols import ExecutorLoad
from mainspring.supervision.run_in_thread import stack_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from mainspring.model.job import Claim, Grant, Outcome
    from mainspring.protocols import Listener

log = logging.getLogger("mainspring.engine")

_JOIN_SECONDS = 1.0
_NOTHING = object()
"""Ends an iterator over the inbox, and never comes."""


class ThreadAttempt(Protocol):
    """An attempt, as a thread slot needs it."""

    def run(self, claim: Claim, slot: int) -> Outcome:
        """Run it here; never raises."""
        ...

    def timeout(self, claim: Claim) -> float | None:
        """Return its time limit in seconds."""
        ...

    def timed_out(self, claim: Claim, began: float) -> Outcome:
        """Return its outcome when it ran past the limit."""
        ...

    def failed(self, claim: Claim, error: BaseException, began: float) -> Outcome:
        """Return its outcome when `error` was raised; never raises."""
        ...


class ThreadExecutor:
    """`size` threads that run attempts. Outcomes go to `done`, from any thread.

    A slot's own thread calls `done_here` instead, if given: that may take its time. Of the claims
    submitted in a slot's own thread, that slot keeps the first: it runs without a thread hop.
    """

    def __init__(  # noqa: PLR0913  # two ways out, and where it stands
        self,
        size: int,
        attempt: ThreadAttempt,
        done: Callable[[Outcome], None],
        *,
        done_here: Callable[[Outcome], None] | None = None,
        first_slot: int = 0,
        kind: str = "thread",
    ) -> None:
        self.kind = kind
        self.name = f"{kind} executor"
        self.size = size
        self._left: list[threading.Thread] = []
        self._refused: Collection[Grant] = ()
        self._refusal: Callable[[Claim], Outcome] | None = None
        self._attempt = attempt
        self._done = done
        self._done_here = done_here or done
        self._inbox: SimpleQueue[Claim | None] = SimpleQueue()
        self._waits = iter(self._inbox.get, _NOTHING)
        self._looks = iter(self._inbox.get_nowait, _NOTHING)
        self._kept: dict[int, list[Claim | None]] = {}
        self._listener: Listener | None = None
        self._on_notice: Callable[[], None] = _nobody
        self._listener_lock = threading.RLock()
        self._listening = False
        self._slots = [ThreadSlot(first_slot + number) for number in range(size)]
        self._next_look = math.inf
        self._closing = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()

    def submit(self, claims: Sequence[Claim]) -> None:
        """Queue claims for the slots."""
        kept = self._kept.get(get_ident())
        first = 0
        if kept is not None and not kept and claims:
            kept.append(claims[0])
            first = 1
        for claim in claims[first:]:
            self._inbox.put(claim)
        if len(claims) > first:
            self._end_listening()

    def listen_when_idle(self, listener: Listener, on_notice: Callable[[], None]) -> None:
        """Have one idle slot at a time wait at `listener`, and call `on_notice` in its thread."""
        self._on_notice = on_notice
        self._listener = listener

    def withdraw(self, count: int) -> list[Claim]:
        """Return up to `count` claims, oldest first, whose body has not begun.

        In a slot's thread also what that slot has kept.
        """
        kept = self._kept.get(get_ident(), [])
        taken, kept[:] = kept[:], []
        with contextlib.suppress(Empty):
            for _ in range(count):
                taken.append(self._inbox.get_nowait())
        if ends := taken.count(None):
            self._end_slots(ends)  # they were for slots, which end by nothing else
        return [claim for claim in taken if claim is not None]

    def waiting(self) -> int:
        """Return the number of claims that no slot has taken yet."""
        return self._inbox.qsize()

    def claims(self) -> list[Claim]:
        """Return the claims whose attempts run now."""
        holds = [slot.hold for slot in self._slots]
        return [claim for hold in holds if hold is not None and (claim := hold.claim) is not None]

    def load(self) -> ExecutorLoad:
        """Return what it has to do."""
        running, began = 0, math.inf
        for slot in self._slots:
            hold = slot.hold
            if hold is not None and hold.claims:
                running += 1
                began = min(began, hold.began)
        abandoned = self._count_abandoned() if self._left else 0
        return ExecutorLoad(self._inbox.qsize(), running, began, abandoned)

    def lag(self) -> None:
        """Return None: there is no loop."""

    def held_since(self, claim: Claim) -> float | None:
        """Return when the slot began that runs this very claim, None if none does (any more)."""
        holds = [slot.hold for slot in self._slots]
        return next((hold.began for hold in holds if hold and hold.claim is claim), None)

    def whereabouts(self, job_ids: Collection[str]) -> list[tuple[Claim, str]]:
        """Return for each body of these jobs its claim and its thread's stack."""
        busy = [(slot.hold, slot.thread) for slot in self._slots]
        return [
            (claim, stack_of(thread))
            for hold, thread in busy
            if hold and thread and (claim := hold.claim) is not None and claim.id in job_ids
        ]

    def refuse(self, outcome: Callable[[Claim], Outcome], grants: Collection[Grant]) -> None:
        """Keep these claims from beginning; they end with that outcome instead."""
        self._refusal = outcome
        self._refused = grants

    def interrupt(
        self, outcome: Callable[[Claim], Outcome], grants: Collection[Grant] | None = None
    ) -> None:
        """Abandon running attempts with that outcome: all, or those of `grants`."""
        if grants is not None:
            # First: a slot that takes one of them now sees it, or is seen below.
            self.refuse(outcome, grants)
        self._abandon(
            [
                (slot, outcome(claim))
                for slot in self._slots
                if (hold := slot.hold) is not None
                and (grants is None or hold.is_of(grants))
                and (claim := hold.let_go())
            ]
        )

    def announce_stop(self) -> None:
        """Do nothing: bodies in this process see it by themselves."""

    async def run(self, started: Callable[[], None]) -> None:
        """Keep a thread in each slot, and abandon what runs past its deadline."""
        self._loop = asyncio.get_running_loop()
        if not self._closing.is_set():
            for slot in self._slots:
                self._start_thread(slot)
        started()
        try:
            while not self._closing.is_set():
                await self._until_next_look()
                self._abandon_overdue()
        finally:
            self._dismiss()

    def close(self) -> None:
        """End the slots once what was submitted has run."""
        self._closing.set()
        self._wake_loop()

    def _start_thread(self, slot: ThreadSlot) -> None:
        slot.thread = threading.Thread(
            target=self._live, args=(slot,), name=f"mainspring-{self.kind}-{slot.number}"
        )
        slot.thread.daemon = True  # an abandoned thread must not keep the process from ending
        slot.thread.start()

    def _live(self, slot: ThreadSlot) -> None:
        kept: list[Claim | None] = []
        self._kept[get_ident()] = kept
        try:
            while self._is_thrown_out(slot, kept):
                pass
        finally:
            del self._kept[get_ident()]

    def _is_thrown_out(self, slot: ThreadSlot, kept: list[Claim | None]) -> bool:
        """Work to the end; True if an exception came from outside, and the work is to go on.

        So it is with what was to end a body by its time, and comes when that has just ended.
        """
        try:
            self._work(slot, kept)
        except BaseException as error:  # noqa: BLE001  # the border of an attempt, once more
            self._settle(slot, kept, error)
            return slot in self._slots  # else it was abandoned, and another thread has its place
        return False

    def _settle(self, slot: ThreadSlot, kept: list[Claim | None], error: BaseException) -> None:
        """Give the outcome that the interrupted work of a slot owes; a second one is refused."""
        log.warning("an exception came to a thread of jobs, but not in a body: %r", error)
        _release_own(self._listener_lock)
        hold, owed, slot.owed = slot.hold, slot.owed, None
        claim = None if hold is None else hold.let_go()
        if hold is not None and claim is not None:
            if kept and kept[-1] is claim:
                del kept[-1]
            self._done(owed or self._attempt.failed(claim, error, hold.began))
        elif owed is not None:
            self._done(owed)
        # What it was about to be told of: a job that has come.
        self._on_notice()

    def _work(self, slot: ThreadSlot, kept: list[Claim | None]) -> None:
        attempt, done, looks = self._attempt, self._done_here, self._looks
        while True:
            if not kept:
                # A step of the interpreter's moves a claim: no exception finds it in neither place.
                try:  # (`suppress` takes as long as all the rest)
                    kept.extend(islice(looks, 1))
                except Empty:
                    self._wait_for_claim(kept)
            # What is in no other place yet stays here: an exception can come at any step.
            claim = kept[-1]
            if claim is None:
                return
            hold = slot.hold = Hold(claim, attempt.timeout(claim))
            del kept[-1]
            if hold.deadline < self._next_look:
                # Set here, so that those who come before the loop has looked need not wake it too.
                self._next_look = hold.deadline
                self._wake_loop()
            if self._refused and self._refusal is not None and hold.is_of(self._refused):
                outcome = self._refusal(claim)
            else:
                outcome = attempt.run(claim, slot.number)
            slot.owed = outcome
            if not hold.claims or hold.let_go() is None:
                slot.owed = None
                return
            done(outcome)
            slot.owed = None

    def _wait_for_claim(self, kept: list[Claim | None]) -> None:
        """Add a claim to what is kept, or None at the end."""
        # The lock is taken inside: an exception can be thrown into this thread at any step.
        try:
            if self._listener is not None and self._listener_lock.acquire(blocking=False):
                self._listen(self._listener, kept)
                return
        finally:
            _release_own(self._listener_lock)
        kept.extend(islice(self._waits, 1))

    def _listen(self, listener: Listener, kept: list[Claim | None]) -> None:
        while not kept:
            # Said before the look: who puts something into the inbox does it the other way round.
            self._listening = True
            try:
                kept.extend(islice(self._looks, 1))
            except Empty:
                try:
                    notified = listener.wait() is not None
                except OSError as error:
                    self._do_without_listener(error)
                    return
            else:
                return
            finally:
                self._listening = False
            if notified:
                self._on_notice()

    def _do_without_listener(self, error: OSError) -> None:
        """Have no slot listen any more: the next wait would raise, too, and spin."""
        log.warning("idle threads no longer listen for jobs, and are handed them: %r", error)
        self._listener = None

    def _count_abandoned(self) -> int:
        for thread in self._left.copy():
            if not thread.is_alive():
                with contextlib.suppress(ValueError):  # another caller was faster
                    self._left.remove(thread)
        return len(self._left)

    def _end_listening(self) -> None:
        if self._listening and self._listener is not None:
            self._listener.poke()

    def _abandon_overdue(self) -> None:
        now = monotonic()
        holds = [(slot, slot.hold) for slot in self._slots]
        self._abandon(
            [
                (slot, self._attempt.timed_out(claim, hold.began))
                for slot, hold in holds
                if hold is not None and hold.deadline <= now and (claim := hold.let_go())
            ]
        )

    def _abandon(self, lost: list[tuple[ThreadSlot, Outcome]]) -> None:
        self._left += [slot.thread for slot, _ in lost if slot.thread is not None]
        # Outcomes first: a system that has no thread to give must not cost one.
        for _, outcome in lost:
            self._done(outcome)
        for slot, _ in lost:
            fresh = ThreadSlot(slot.number)
            self._slots[self._slots.index(slot)] = fresh
            self._start_thread(fresh)

    async def _until_next_look(self) -> None:
        timeout = self._timeout()
        if self._closing.is_set():
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), timeout)
        self._woken.clear()

    def _timeout(self) -> float | None:
        # Infinity first: a slot that takes a claim between the two lines must see it, and wake us.
        self._next_look = math.inf
        now = monotonic()
        # Deadlines of claims that have ended stand for those to come: one look for all of them.
        holds = [slot.hold for slot in self._slots if slot.hold is not None]
        looks = [hold.deadline for hold in holds if hold.live or hold.deadline > now]
        self._next_look = min(looks, default=math.inf)
        return None if self._next_look == math.inf else max(0.0, self._next_look - now)

    def _wake_loop(self) -> None:
        # A loop that is closed, perhaps just now, has nobody who watches.
        with contextlib.suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._woken.set)

    def _dismiss(self) -> None:
        self._end_slots(len(self._slots))
        for slot in self._slots:
            if slot.thread is not None and not slot.busy:
                slot.thread.join(_JOIN_SECONDS)

    def _end_slots(self, count: int) -> None:
        """Have so many slots end when they next look for a claim."""
        for _ in range(count):
            self._inbox.put(None)
        self._end_listening()


def _release_own(lock: threading.RLock) -> None:
    """Release a lock if this thread holds it."""
    with contextlib.suppress(RuntimeError):
        lock.release()


def _nobody() -> None:
    """Do nothing: there is no listener yet."""
