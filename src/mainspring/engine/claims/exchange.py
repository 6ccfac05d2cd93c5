"""The exchange: outcomes out, claims in, in one transaction a batch.

It runs in a thread of its own. Slots put outcomes into its outbox; it turns when the slots run low,
when the outbox is full or has waited long enough, or when the store says that work has come. A slot
whose thread would otherwise sleep turns it itself: that saves the way of a result a thread hop.
"""

from __future__ import annotations

import contextlib
import math
import threading
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.engine.attempts.attempt import cancelled, overdue, released, unrecordable
from mainspring.engine.claims.completion import Completions
from mainspring.engine.claims.drain import Drain, DrainStep
from mainspring.engine.claims.held import HeldClaims
from mainspring.engine.claims.outbox import FLUSH_SECONDS, Outbox
from mainspring.engine.claims.slots import SlotTable
from mainspring.errors import LeaseLost, StoreBusy, StoreUnusable
from mainspring.faults import fault
from mainspring.model.events import AttemptsEnded, ConsumerUnhealthy, NodeLost, OutcomesRefused
from mainspring.model.job import Want

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mainspring.engine.claims.slots import Slots
    from mainspring.engine.node.node import Node
    from mainspring.model.events import Event
    from mainspring.model.job import Claim, Exchanged, Grant, Outcome
    from mainspring.protocols import Store


class Exchange:
    """Flushes outcomes and claims work for the executors of one node."""

    def __init__(
        self,
        store: Store,
        node: Node,
        queues: tuple[str, ...] | None,
        tell: Callable[[Event], None],
    ) -> None:
        self._store = store
        self._node = node
        self._queues = queues
        self._tell = tell
        self._table = SlotTable()
        self._slots, self._by_task = self._table.slots, self._table.by_task
        self._outbox = Outbox()
        self._held = HeldClaims()
        self._wake: Callable[[], None] = lambda: None
        self._before: Callable[[Sequence[Outcome]], None] = lambda _outcomes: None
        self._next_due = math.inf
        self._drain = Drain()
        self._lost_key: int | None = None
        self._troubled = self._unsure = self._lapsed = False
        self._renew: Callable[[], None] = lambda: None
        self._turning = threading.Lock()
        self._cancels: frozenset[Grant] = frozenset()
        self._unhealthy = False
        self.completions = Completions(store, node)

    def serve(self, slots: Slots) -> None:
        """Claim for these slots too; before the first turn."""
        self._table.add(slots)

    def move(self, moves: Mapping[str, Slots]) -> None:
        """Claim each of these tasks for those slots from now on; from any thread."""
        self._table.move(moves)
        self._wake()

    def on_lapse(self, renew: Callable[[], None]) -> None:
        """Have `renew` called when the store says that the lease has run out."""
        self._renew = renew

    def renewed(self) -> None:
        """Learn that the lease was renewed; from any thread."""
        if self._lapsed:
            self._lapsed = False
            self.ring()

    def precede(self, flush: Callable[[Sequence[Outcome]], None]) -> None:
        """Have `flush` called with outcomes before they are recorded; it must not raise."""
        self._before = flush

    def put(self, outcome: Outcome) -> None:
        """Take an outcome from a slot; from any thread."""
        self._outbox.put(outcome)
        if self._outbox.full or self._low():
            self._wake()

    def put_and_turn(self, outcome: Outcome) -> None:
        """Take an outcome from a slot whose thread has time, and turn in it if a turn is due."""
        self._outbox.put(outcome)
        if self._outbox.full or self._low():
            self._turn_here()

    def heard(self) -> None:
        """Learn in the thread of an idle slot that there may be work, and turn in it."""
        self._table.expect_work()
        self._turn_here()

    def _turn_here(self) -> None:
        if self.draining or self._troubled or not self._turning.acquire(blocking=False):
            self._wake()
            return
        try:
            # What goes wrong goes wrong again in the exchange's own thread, and is told there.
            with contextlib.suppress(Exception):
                self._turn()
            rest = self._due(monotonic())
        finally:
            self._turning.release()
        if rest is not None:
            self._wake()

    def ring(self) -> None:
        """Learn that there may be work; from any thread."""
        self._table.expect_work()
        self._wake()

    def drain(self, grace: float) -> None:
        """Claim no more; give bodies `grace` seconds to end, then end them. From any thread."""
        self._drain.ask(grace)
        for slots in self._slots:
            slots.executor.announce_stop()
        self._withdraw_all()
        self._wake()

    def cancel(self, grants: Iterable[Grant]) -> None:
        """Learn all claims of this node whose jobs are to be cancelled; from any thread."""
        known, self._cancels = self._cancels, frozenset(grants)
        if known or self._cancels:
            self._end_cancelled()

    def lose(self, key: int) -> None:
        """Learn that the lease was lost which the node had under `key`; from any thread.

        It may come late, when the node has joined anew: then it says nothing any more.
        """
        self._lost_key = key
        self._wake()

    @property
    def draining(self) -> bool:
        """Whether no more is claimed."""
        return self._drain.asked

    @property
    def in_flight(self) -> int:
        """How many claims the node has whose outcome is not recorded."""
        return len(self._held)

    @property
    def drained(self) -> bool:
        """Whether everything that was claimed has been flushed, and no more will be claimed."""
        if not self.draining or self._turning.locked():
            # A slot that began to turn just before the drain may come back with claims.
            return False
        return not self._held and not self._outbox

    def bind(self, wake: Callable[[], None]) -> None:
        """Take the function that ends the wait for the next turn."""
        self._wake = wake

    def due(self, now: float) -> float | None:
        """Return the seconds until the next turn; None: not before a wake."""
        with self._turning:
            return self._due(now)

    def turn(self) -> None:
        """Flush the outcomes at hand and claim what the slots can take on."""
        with self._turning:
            self._turn()

    def _due(self, now: float) -> float | None:
        if self._lost() or self._table.pending or self._hungry():
            return 0.0
        waits = [slots.due(now) for slots in self._slots]
        if self._has_waiting() and not self._low():
            # As long as claims wait, nobody wakes us for an outcome.
            waits.append(FLUSH_SECONDS)
        if self._outbox:
            waits.append(self._flush_in(now))
        if self.draining:
            waits.append(0.0 if self._has_waiting() else self._drain.due_in(now))
        waits.append(self._next_due - now)
        return None if (soonest := min(waits)) == math.inf else soonest

    def _turn(self) -> None:
        if self._lost():
            self._disown()
        self._outbox.extend(map(released, self._table.apply(self._held)))
        self._give_back()
        # A batch that was refused is tried alone: a claim that goes wrong must not be its fault.
        idle = self.draining or self._outbox.suspected
        outcomes = self._outbox.take()
        asked = [] if idle else self._rooms(outcomes)
        wants = self._wants(outcomes, asked)
        if outcomes or wants:
            for slots, room in asked:
                slots.more = slots.more and not room
            exchanged = self._exchange(outcomes, wants)
            if exchanged is not None:
                self._take_on(outcomes, exchanged, asked)
        if self._unsure and not self._lost():
            self._recover()

    def _wants(self, outcomes: list[Outcome], asked: list[tuple[Slots, int]]) -> list[Want]:
        suspects = 0 if self._held.has_suspect_beside(outcomes) else 1
        return [Want(slots.tasks, self._queues, room, suspects) for slots, room in asked if room]

    def _rooms(self, outcomes: list[Outcome]) -> list[tuple[Slots, int]]:
        self._look_after_health()
        leaving = dict.fromkeys(self._slots, 0)
        for outcome in outcomes:
            if (claim := self._held.of(outcome)) is not None:
                leaving[self._by_task[claim.task]] += 1
        return [(slots, slots.room(count)) for slots, count in leaving.items()]

    def _look_after_health(self) -> None:
        exhausted = [slots.executor.abandoned for slots in self._slots if slots.exhausted]
        if exhausted and not self._unhealthy:
            self._tell(ConsumerUnhealthy(self._node.name, sum(exhausted)))
        self._unhealthy = bool(exhausted)

    def _lost(self) -> bool:
        return self._lost_key == self._node.key

    def _low(self) -> bool:
        return any(slots.low() for slots in self._slots)

    def _hungry(self) -> bool:
        if self.draining or self._lapsed:
            return False
        return any(slots.more and slots.low() and slots.room() for slots in self._slots)

    def _has_waiting(self) -> bool:
        return any(slots.executor.waiting() for slots in self._slots)

    def _flush_in(self, now: float) -> float:
        rushed = self.draining or self._low() or self._outbox.full
        return 0.0 if rushed else self._outbox.due_in(now)

    def _exchange(self, outcomes: list[Outcome], wants: list[Want]) -> Exchanged | None:
        key = self._node.key
        self._before(outcomes)
        try:
            fault("before_flush")
            exchanged = self._store.exchange(key, outcomes, wants)
        except LeaseLost:
            self._lost_key = key
            return None
        except BaseException as error:
            self._put_back(outcomes, error)
            raise
        fault("after_flush")
        self._outbox.accepted()
        self._troubled = False
        return exchanged

    def _put_back(self, outcomes: list[Outcome], error: BaseException) -> None:
        self._troubled = self._unsure = True
        self._table.expect_work()
        if isinstance(error, (StoreBusy, StoreUnusable)):
            self._outbox.put_back(outcomes)
        elif (to_blame := self._outbox.refuse(outcomes)) is not None:
            self._fail_alone(to_blame, error)

    def _fail_alone(self, outcome: Outcome, error: BaseException) -> None:
        failure = unrecordable(outcome, error)
        # A store that refuses this too is not well itself: then the outcome stays as it is.
        accepted = self._store.finish_many(self._node.key, [failure])
        self._outbox.drop_first()
        self._settle([failure], accepted)

    def _take_on(
        self, outcomes: list[Outcome], exchanged: Exchanged, asked: list[tuple[Slots, int]]
    ) -> None:
        try:
            if outcomes:
                self._settle(outcomes, exchanged.accepted)
            self._deliver(exchanged, asked)
        except BaseException:
            # Claims that are committed and in no slot would stay ours for ever: begin anew.
            self._lost_key = self._node.key
            raise

    def _settle(self, outcomes: list[Outcome], accepted: Sequence[bool]) -> None:
        ended: list[tuple[Claim, Outcome]] = []
        refused: list[Outcome] = []
        for outcome, good in zip(outcomes, accepted, strict=True):
            claim = self._held.of(outcome)
            if claim is not None:
                self._held.drop(claim)
                self._by_task[claim.task].in_flight -= 1
                committed = None
                if self.completions.outcomes:
                    committed = self.completions.settle(outcome, accepted=good)
                if good or committed is not None:
                    ended.append((claim, committed or outcome))
                    continue
            if not good:
                refused.append(outcome)
        for slots in self._slots:
            slots.learn([done for claim, done in ended if self._by_task[claim.task] is slots])
        if ended:
            self._tell(AttemptsEnded(tuple(ended)))
        if refused:
            self._tell(OutcomesRefused(tuple(refused)))

    def _deliver(self, exchanged: Exchanged, asked: list[tuple[Slots, int]]) -> None:
        fault("after_claim")
        if exchanged.lapsed:
            self._lapsed = True
            self._renew()
        self._plan_next_look(exchanged.next_due, asked)
        shares: dict[int, list[Claim]] = {id(slots): [] for slots, _ in asked}
        for claim in exchanged.claims:
            shares[id(self._by_task[claim.task])].append(claim)
        for slots, room in asked:
            share = shares[id(slots)]
            slots.more = slots.more or (room > 0 and len(share) == room)
            self._start(slots, share)
        if self.draining:
            self._withdraw_all()
        if self._cancels:
            # One of these may have been given to a slot after its cancelling was heard of.
            self._end_cancelled()

    def _start(self, slots: Slots, claims: list[Claim]) -> None:
        self._held.add(claims)
        late = [claim for claim in claims if claim.expired]
        slots.in_flight += len(late)
        self._outbox.extend(overdue(claim) for claim in late)
        if in_time := [claim for claim in claims if not claim.expired]:
            slots.submit(in_time)

    def _recover(self) -> None:
        """Start what the store granted in an answer that was lost."""
        try:
            claims = self._store.held(self._node.key)
        except LeaseLost:
            self._lost_key = self._node.key
            return
        # Where an earlier claim's outcome is still on its way, the later claim waits for it.
        missing, self._unsure = self._held.missing_among(claims)
        for slots in self._slots:
            self._start(slots, [one for one in missing if self._by_task[one.task] is slots])

    def _end_cancelled(self) -> None:
        for slots in self._slots:
            slots.executor.interrupt(cancelled, self._cancels)

    def _plan_next_look(self, next_due: float | None, asked: list[tuple[Slots, int]]) -> None:
        due = math.inf if next_due is None else monotonic() + next_due
        # It is of the lanes that were asked for: of the others, what was known before holds.
        of_all = bool(asked) and all(room for _, room in asked)
        self._next_due = due if of_all else min(due, self._next_due)

    def _withdraw_all(self) -> None:
        for slots in self._slots:
            self._outbox.extend(released(claim) for claim in slots.withdraw_all())

    def _give_back(self) -> None:
        now = monotonic()
        for slots in self._slots:
            self._outbox.extend(released(claim) for claim in slots.withdraw_stale(now))
        if self.draining:
            self._withdraw_all()
        if now >= self._next_due:
            self._next_due = math.inf
            self.ring()
        self._end_bodies(self._drain.step(now))

    def _end_bodies(self, step: DrainStep) -> None:
        if step is DrainStep.INTERRUPT:
            for slots in self._slots:
                slots.executor.interrupt(released)
        elif step is DrainStep.DISOWN:
            ended = {outcome.key for outcome in self._outbox}
            self._outbox.extend(released(claim) for claim in self._held if claim.key not in ended)

    def _disown(self) -> None:
        self._tell(NodeLost(self._node.name))
        for slots in self._slots:
            slots.withdraw_all()
            slots.executor.interrupt(released)
            slots.in_flight = 0
        self._outbox.clear()
        self._held.clear()
        self.completions.clear()
        self.ring()
        if not self.draining:
            self._node.rejoin()
