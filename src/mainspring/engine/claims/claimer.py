"""The claims of one node: how many to ask for, which are held, and the slots they go to.

Knows nothing of the store. All of it is for the thread that has the exchange's turn.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from mainspring.clock import monotonic
from mainspring.engine.claims.held import HeldClaims
from mainspring.engine.claims.slots import SlotTable
from mainspring.model.crash import is_suspect
from mainspring.model.job import Claim, Outcome, Want  # the types of a NamedTuple's fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.engine.claims.complete_in import Completions
    from mainspring.engine.claims.slots import Slots
    from mainspring.model.job import Exchanged


class Recorded(NamedTuple):
    """Attempts whose outcomes the store has recorded, and outcomes that it has refused."""

    ended: list[tuple[Claim, Outcome]]
    refused: list[Outcome]


class Accepted(NamedTuple):
    """Claims that no slot gets: those whose jobs have expired, and suspects beside another."""

    expired: list[Claim]
    surplus: list[Claim]


class Recovered(NamedTuple):
    """Claims that the node did not know of.

    Those whose jobs have expired; those that no slot gets: suspects beside another, and those of
    tasks that it does not serve, as somebody may have written into the store; and whether an
    earlier claim of one of the jobs is still on its way to the store: then the later one waits.
    """

    expired: list[Claim]
    surplus: list[Claim]
    superseded: bool


class Claimer:
    """Asks for as many claims as slots are free, and hands what comes to the slots."""

    def __init__(self, queues: tuple[str, ...] | None, completions: Completions) -> None:
        self._queues = queues
        self._completions = completions
        self._asked: dict[Slots, int] = {}
        self.table = SlotTable()
        self.held = HeldClaims()
        self.next_due = math.inf

    def wants(self, outcomes: Sequence[Outcome], now: float) -> list[Want]:
        """Return what to ask for in an exchange that records these outcomes.

        Nothing, if the store is known to have nothing: it will say when that changes. But it says
        nothing of the jobs that wait until a suspect has ended, also for slots that are full now.
        """
        if outcomes and self.held.suspects and not self.held.has_suspect_beside(outcomes):
            self.table.expect_work()
        asks = not outcomes or self.table.expects_work()
        leaving = dict.fromkeys(self.table.slots, 0)
        by_task = self.table.by_task
        for claim in self.held.of(outcomes):
            if claim is not None:
                leaving[by_task[claim.task]] += 1
        suspects = 0 if self.held.has_suspect_beside(outcomes) else 1
        wants = []
        for slots, count in leaving.items():
            # In any case: it sees as well whether so many bodies are abandoned as there are slots.
            free = self._asked[slots] = slots.free_slots(now, count)
            if free and asks:
                # Before the store is asked: what it tells meanwhile must not be forgotten.
                slots.may_have_work = False
                wants.append(Want(slots.tasks, self._queues, free, suspects))
        if not asks:
            self.want_nothing()
        return wants

    def want_nothing(self) -> None:
        """Note that the next exchange only records."""
        self._asked = {}

    def record(self, outcomes: Sequence[Outcome], accepted: Sequence[bool]) -> Recorded:
        """Hold the claims of these outcomes no longer."""
        recorded = Recorded([], [])
        run_seconds: defaultdict[Slots, list[float]] = defaultdict(list)
        by_task, claims = self.table.by_task, self.held.drop(outcomes)
        for outcome, claim, good in zip(outcomes, claims, accepted, strict=True):
            if claim is not None:
                slots = by_task[claim.task]
                slots.in_flight -= 1
                committed = None
                if self._completions.outcomes:
                    committed = self._completions.settle(outcome, accepted=good)
                if good or committed is not None:
                    recorded.ended.append((claim, committed or outcome))
                    if outcome.began:
                        run_seconds[slots].append(outcome.ended - outcome.began)
                    continue
            if not good:
                recorded.refused.append(outcome)
        for slots, seconds in run_seconds.items():
            slots.learn(seconds)
        return recorded

    def accept(self, exchanged: Exchanged) -> Accepted:
        """Submit new claims to the slots, but for those that are returned."""
        self._plan_next_claim(exchanged.next_due)
        shares: defaultdict[Slots, list[Claim]] = defaultdict(list)
        for claim in exchanged.claims:
            shares[self.table.by_task[claim.task]].append(claim)
        accepted = Accepted([], [])
        for slots, claims in shares.items():
            if len(claims) == self._asked[slots]:
                slots.may_have_work = True
            self._start(slots, claims, accepted)
        return accepted

    def recover(self, claims: Sequence[Claim]) -> Recovered:
        """Start claims that an answer which was lost has granted."""
        missing, superseded = self.held.missing_among(claims)
        served = self.table.by_task
        accepted = Accepted([], [one for one in missing if one.task not in served])
        for slots in self.table.slots:
            mine = [one for one in missing if served.get(one.task) is slots]
            self._start(slots, mine, accepted)
        return Recovered(accepted.expired, accepted.surplus, superseded)

    def withdraw_stale(self, now: float) -> list[Claim]:
        """Withdraw claims that have waited too long; if it is time, expect work in the store."""
        if now >= self.next_due:
            self.next_due = math.inf
            self.table.expect_work()
        stale: list[Claim] = []
        for slots in self.table.slots:
            stale += slots.withdraw_stale(now)
        return stale

    def forget_all(self) -> None:
        """Hold nothing: the node has lost its jobs."""
        for slots in self.table.slots:
            slots.in_flight = 0
        self.held.clear()
        self._completions.clear()
        self.table.expect_work()

    def _start(self, slots: Slots, claims: list[Claim], accepted: Accepted) -> None:
        if self.held.suspects:
            # Each want may bring one, and so may an answer that was lost.
            accepted.surplus.extend([one for one in claims if is_suspect(one.crashes)])
            claims = [one for one in claims if not is_suspect(one.crashes)]
        self.held.add(claims)
        expired = [claim for claim in claims if claim.expired]
        slots.in_flight += len(expired)
        accepted.expired.extend(expired)
        in_time = [claim for claim in claims if not claim.expired] if expired else claims
        if in_time:
            slots.submit(in_time)

    def _plan_next_claim(self, next_due: float | None) -> None:
        due = math.inf if next_due is None else monotonic() + next_due
        # It is of the lanes that were asked for: of the others, what was known before holds.
        of_all = bool(self._asked) and 0 not in self._asked.values()
        self.next_due = due if of_all else min(due, self.next_due)
