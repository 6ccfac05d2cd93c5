"""The exchange: outcomes out, claims in, in one transaction a batch.

It runs in a thread of its own. Slots put outcomes into its outbox; it turns when the slots run low,
when the outbox is full or has waited long enough, or when the store says that work has come. A slot
whose thread would otherwise sleep turns it itself, which saves a result a thread hop.
"""

from __future__ import annotations

import contextlib
import math
import threading
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.engine.attempts.attempt import cancelled, overdue, released, unrecordable
from mainspring.engine.claims.claimer import Claimer
from mainspring.engine.claims.complete_in import Completions
from mainspring.engine.claims.drain import Drain, DrainStep
from mainspring.engine.claims.outbox import FLUSH_SECONDS, Outbox
from mainspring.errors import LeaseLost, StoreBusy, StoreUnusable
from mainspring.faults import fault
from mainspring.model.events import AttemptsEnded, ConsumerUnhealthy, NodeLost, OutcomesRefused
from mainspring.stores.ownership import let_go, owns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mainspring.engine.claims.slots import Slots
    from mainspring.engine.node.node import Node
    from mainspring.model.events import Event
    from mainspring.model.job import Claim, Exchanged, Grant, Outcome, Want
    from mainspring.protocols import Store


class Exchange:
    """Records outcomes and claims work for the executors of one node.

    The outbox holds what is to be recorded, the claimer what was claimed, the drain how it ends.
    """

    def __init__(
        self,
        store: Store,
        node: Node,
        queues: tuple[str, ...] | None,
        publish: Callable[[Event], None],
    ) -> None:
        self._store = store
        self._node = node
        self._publish = publish
        self.completions = Completions(store, node)
        self._outbox = Outbox()
        self._claimer = Claimer(queues, self.completions)
        self._drain = Drain()
        self._table = self._claimer.table
        self._slots = self._table.slots
        self._wake: Callable[[], None] = _ignore
        self._renew: Callable[[], None] = _ignore
        self._before_flush: Callable[[Sequence[Outcome]], None] = lambda _outcomes: None
        self._turning = threading.RLock()
        self._under_way = False
        self._lost_key: int | None = None
        self._disowned = ""
        self._cancels: frozenset[Grant] = frozenset()
        self._troubled = self._unsure = self._lapsed = self._unhealthy = False

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
        """Note that the lease was renewed; from any thread."""
        if self._lapsed:
            self._lapsed = False
            self.notify()

    def compare(self) -> None:
        """See at the next turn that the store has granted no more than is known here.

        From any thread.
        """
        self._unsure = True
        self.notify()

    def before_flush(self, flush: Callable[[Sequence[Outcome]], None]) -> None:
        """Have `flush` called with outcomes before they are recorded; it must not raise."""
        self._before_flush = flush

    def put(self, outcome: Outcome) -> None:
        """Add a slot's outcome; from any thread."""
        if self._outbox.put(outcome) or self._table.is_low():
            self._wake()

    def put_and_turn(self, outcome: Outcome) -> None:
        """Add a slot's outcome, and turn in its thread if a turn is due."""
        if self._outbox.put(outcome) or self._table.is_low():
            self._turn_here()

    def notify_here(self) -> None:
        """Note in the thread of an idle slot that there may be work, and turn in it."""
        self._table.expect_work()
        self._turn_here()

    def notify(self) -> None:
        """Note that there may be work; from any thread."""
        self._table.expect_work()
        self._wake()

    def drain(self, grace: float) -> None:
        """Claim no more; give bodies `grace` seconds to end, then end them. From any thread."""
        self._drain.ask(grace)
        for slots in self._slots:
            slots.executor.announce_stop()
        self._release(self._table.withdraw_all())
        self._wake()

    def cancel(self, grants: Iterable[Grant]) -> None:
        """Cancel jobs; `grants` are all claims of this node to be cancelled. From any thread."""
        known, self._cancels = self._cancels, frozenset(grants)
        if known or self._cancels:
            self._end_cancelled()

    def lose(self, key: int) -> None:
        """Handle the loss of the lease that the node had under `key`; from any thread.

        It may come late, when the node has joined anew: then it says nothing any more.
        """
        self._lost_key = key
        self._wake()

    def claim_of(self, key: int, fence: int) -> Claim | None:
        """Return the claim if the node holds it; from any thread."""
        return self._claimer.held.claim_of(key, fence)

    @property
    def draining(self) -> bool:
        """True if no more is claimed."""
        return self._drain.asked

    @property
    def in_flight(self) -> int:
        """The number of claims that the node has whose outcome is not recorded."""
        return len(self._claimer.held)

    @property
    def drained(self) -> bool:
        """True if everything that was claimed has been flushed, and no more will be claimed."""
        if not self._drain.asked or self._is_turning():
            # A slot that began to turn just before the drain may come back with claims.
            return False
        return not self._claimer.held and not self._outbox

    def bind(self, wake: Callable[[], None]) -> None:
        """Set the function that ends the wait for the next turn."""
        self._wake = wake

    def due(self, now: float) -> float | None:
        """Return the seconds until the next turn; None: not before a wake."""
        with self._turning:
            if self._lost() or self._table.moves:
                return 0.0
            draining, slots = self._drain.asked, self._table.state(now)
            if slots.can_claim and not (draining or self._lapsed):
                return 0.0
            waits = [slots.due, self._claimer.next_due - now]
            if slots.waiting and not slots.low:
                # As long as claims wait, nobody wakes us for an outcome.
                waits.append(FLUSH_SECONDS)
            if self._outbox:
                rushed = draining or slots.low or self._outbox.full
                waits.append(0.0 if rushed else self._outbox.due_in(now))
            if draining:
                waits.append(0.0 if slots.waiting else self._drain.due_in(now))
            return None if (soonest := min(waits)) == math.inf else soonest

    def turn(self) -> None:
        """Flush the outcomes at hand and claim what the slots can take."""
        with self._turning:
            self._under_way = True
            try:
                self._take_turn(monotonic())
            finally:
                self._under_way = False

    def _take_turn(self, now: float) -> None:
        self._give_back(now)
        outcomes = self._outbox.take()
        wants = self._wants(outcomes, now)
        if outcomes or wants:
            self._exchange(outcomes, wants)
        if self._unsure and not self._lost():
            self._recover()

    def _turn_here(self) -> None:
        # The note first, which is the cheapest: a busy node asks with every outcome. One that an
        # interrupted turn has left stands until the exchange's own thread has turned.
        if self._under_way or self._drain.asked or self._troubled or owns(self._turning):
            self._wake()
            return
        try:
            rest = self._turn_if_free()
        except BaseException:
            # It came from outside. What the turn has not ended, the exchange's own thread does.
            let_go(self._turning)
            self.compare()
            raise
        if rest is not None:
            self._wake()

    def _turn_if_free(self) -> float | None:
        """Turn unless another does; return the seconds until the next turn, None if none is due."""
        # The lock is taken inside: an exception can be thrown into a slot's thread at any step.
        try:
            if not self._turning.acquire(blocking=False):
                return 0.0
            # What goes wrong goes wrong again in the exchange's own thread, and is told there.
            with contextlib.suppress(Exception):
                self.turn()
            return self.due(monotonic())
        finally:
            let_go(self._turning)

    def _is_turning(self) -> bool:
        if owns(self._turning):
            return True
        try:
            return not self._turning.acquire(blocking=False)
        finally:
            let_go(self._turning)

    def _wants(self, outcomes: list[Outcome], now: float) -> list[Want]:
        # A batch that was refused is tried alone: a claim that goes wrong must not be its fault.
        if self._drain.asked or (outcomes and self._outbox.suspected):
            self._claimer.want_nothing()
            return []
        wants = self._claimer.wants(outcomes, now)
        abandoned = self._table.exhausted()
        if abandoned and not self._unhealthy:
            self._publish(ConsumerUnhealthy(self._node.name, abandoned))
        self._unhealthy = bool(abandoned)
        return wants

    def _lost(self) -> bool:
        return self._lost_key == self._node.key

    def _exchange(self, outcomes: list[Outcome], wants: list[Want]) -> None:
        key = self._node.key
        if outcomes:
            self._before_flush(outcomes)
        try:
            fault("before_flush")
            exchanged = self._store.exchange(key, outcomes, wants)
        except LeaseLost:
            self._lost_key = key
        except BaseException as error:
            self._put_back(outcomes, error)
            raise
        else:
            self._accept(outcomes, exchanged)

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
        self._record([failure], accepted)

    def _accept(self, outcomes: list[Outcome], exchanged: Exchanged) -> None:
        try:
            fault("after_flush")
            self._troubled = False
            if outcomes:
                self._outbox.accepted()
                self._record(outcomes, exchanged.accepted)
            fault("after_claim")
            self._deliver(exchanged)
        except BaseException:
            # Claims that are committed and in no slot would stay ours for ever: begin anew.
            self._lost_key = self._node.key
            raise

    def _record(self, outcomes: list[Outcome], accepted: Sequence[bool]) -> None:
        ended, refused = self._claimer.record(outcomes, accepted)
        if ended:
            self._publish(AttemptsEnded(tuple(ended)))
        if refused:
            self._publish(OutcomesRefused(tuple(refused)))

    def _deliver(self, exchanged: Exchanged) -> None:
        if exchanged.lapsed:
            self._lapsed = True
            self._renew()
        expired, surplus = self._claimer.accept(exchanged)
        if expired:
            self._outbox.extend(map(overdue, expired))
        if surplus:
            self._release(surplus)
        if self._drain.asked:
            self._release(self._table.withdraw_all())
        if self._cancels:
            # One of these may have been given to a slot after its cancelling was heard of.
            self._end_cancelled()

    def _recover(self) -> None:
        """Start what the store granted in an answer that was lost."""
        try:
            claims = self._store.held(self._node.key)
        except LeaseLost:
            self._lost_key = self._node.key
            return
        recovered = self._claimer.recover(claims)
        self._unsure = recovered.superseded
        self._outbox.extend(map(overdue, recovered.expired))
        self._release(recovered.surplus)

    def _end_cancelled(self) -> None:
        for slots in self._slots:
            slots.executor.interrupt(cancelled, self._cancels)

    def _release(self, claims: Iterable[Claim]) -> None:
        self._outbox.extend(map(released, claims))

    def _give_back(self, now: float) -> None:
        if self._lost():
            self._disown()
        if self._table.moves:
            self._release(self._table.apply(self._claimer.held))
        if stale := self._claimer.withdraw_stale(now):
            self._release(stale)
        if self._drain.asked:
            self._release(self._table.withdraw_all())
            self._end_bodies(self._drain.step(now))

    def _end_bodies(self, step: DrainStep) -> None:
        if step is DrainStep.INTERRUPT:
            for slots in self._slots:
                slots.executor.interrupt(released)
        elif step is DrainStep.DISOWN:
            ended = {outcome.key for outcome in self._outbox}
            self._release(claim for claim in self._claimer.held if claim.key not in ended)

    def _disown(self) -> None:
        if self._disowned != self._node.name:
            self._disowned = self._node.name
            self._publish(NodeLost(self._node.name))
        for slots in self._slots:
            slots.withdraw_all()
            slots.executor.interrupt(released)
        self._outbox.clear()
        self._claimer.forget_all()
        self._wake()
        if not self.draining:
            self._node.rejoin()


def _ignore() -> None:
    """Do nothing: nobody is bound yet."""
