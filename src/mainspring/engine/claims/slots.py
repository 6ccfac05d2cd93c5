"""The claims that an executor can take on: its free slots, and what will start very soon.

Prefetch is bounded by time, not hidden: a node claims what its measured run times say will start
within `PREFETCH_SECONDS`, and gives back uncharged what has not started after `STALE_SECONDS`.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import TYPE_CHECKING, NamedTuple

from mainspring.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mainspring.model.job import Claim
    from mainspring.protocols import Executor

PREFETCH_SECONDS = 0.05
STALE_SECONDS = 0.2
REST_SECONDS = 1.0
"""Rest of an executor that took nothing for STALE_SECONDS, unless a body ends before.

It has free slots by its own account, but its loop is blocked, or its children do not come up.
"""

MOST_WAITING = 1024
MOST_CLAIMED = 512
"""At most so many claims wait for a slot, and come in one exchange."""

_WEIGHT = 0.3
_SHORTEST = 20e-6
"""No body is taken to be shorter: the attempt around it takes as long."""


class SlotState(NamedTuple):
    """Slots at one moment: whether claims wait for one, whether they run low, can take more.

    `due` is in how many seconds they are to be looked at; infinity: not before an outcome.
    """

    waiting: bool
    low: bool
    can_claim: bool
    due: float


class Slots:
    """An executor, with the measure of what it can take on; for the exchange's thread."""

    def __init__(self, executor: Executor, tasks: tuple[str, ...]) -> None:
        self.executor = executor
        self.tasks = tasks
        self._run_seconds = math.inf
        self.may_have_work = True
        self.in_flight = 0
        self.exhausted = 0
        """Abandoned bodies that still run, if as many do as there are slots: it takes no more."""
        self.low_water = 0
        """If no more than so many claims wait, the slots will soon have nothing to do."""
        self._submitted = 0
        self._rests_until = 0.0
        self._batches: deque[tuple[float, int]] = deque()

    def free_slots(self, now: float, leaving: int = 0) -> int:
        """Return how many claims to ask for now, if `leaving` of those in flight are done."""
        load, size = self.executor.load(), self.executor.size
        self.exhausted = load.abandoned if load.abandoned >= size else 0
        if now < self._rests_until or not self.tasks:
            return 0
        if self.exhausted:
            self._rests_until = now + REST_SECONDS
            return 0
        # What runs now may be longer than all that was measured: it is the better witness.
        seconds = max(self._run_seconds, now - load.began)
        prefetch = 0 if seconds == math.inf else int(size * PREFETCH_SECONDS / seconds)
        prefetch = min(MOST_WAITING, prefetch)
        self.low_water = prefetch // 2
        # A claim on its way from the line to a slot is not seen; a body that was disowned is.
        occupied = max(load.running + load.waiting, self.in_flight - leaving)
        return max(0, min(size + prefetch - occupied, MOST_CLAIMED))

    def submit(self, claims: Sequence[Claim]) -> None:
        """Hand claims to the slots."""
        self.in_flight += len(claims)
        self._submitted += len(claims)
        self._batches.append((monotonic(), self._submitted))
        self.executor.submit(claims)

    def learn(self, run_seconds: Sequence[float]) -> None:
        """Update the measure of run times from those of some bodies."""
        self._rests_until = 0.0
        mean = max(sum(run_seconds) / len(run_seconds), _SHORTEST)
        known = self._run_seconds
        # Up at once, down slowly: to expect too little costs others their turn.
        fades = known != math.inf and mean < known
        self._run_seconds = known + _WEIGHT * (mean - known) if fades else mean

    def state(self, now: float) -> SlotState:
        """Return how they are."""
        waiting = self.executor.waiting()
        low = waiting <= self.low_water
        can_claim = self.may_have_work and low and self.free_slots(now) > 0
        stale = self._stale_at(waiting)
        due = stale if stale < math.inf or now >= self._rests_until else self._rests_until
        return SlotState(waiting > 0, low, can_claim, due - now)

    def withdraw_stale(self, now: float) -> list[Claim]:
        """Withdraw the claims that have waited too long for a slot."""
        claims: list[Claim] = []
        if not self._batches:
            return claims
        waiting = self.executor.waiting()
        while self._stale_at(waiting) <= now:
            begun = self._submitted - waiting
            claims += self.executor.withdraw(self._batches.popleft()[1] - begun)
            waiting = self.executor.waiting()
        if claims:
            self.may_have_work = True
            self._rests_until = now + REST_SECONDS
        return claims

    def withdraw_all(self) -> list[Claim]:
        """Withdraw every claim that no slot has taken; from any thread."""
        return self.executor.withdraw(self.executor.waiting())

    def _stale_at(self, waiting: int) -> float:
        """Return when the oldest claim that waits will have waited for too long."""
        begun = self._submitted - waiting
        while self._batches and self._batches[0][1] <= begun:
            self._batches.popleft()
        return self._batches[0][0] + STALE_SECONDS if self._batches else math.inf


class SlotTable:
    """The slots of one node, all of them and by task; tasks may come and move while it claims.

    `move` is for any thread. What it says takes effect with `apply`, in the exchange's turn.
    """

    def __init__(self) -> None:
        self.slots: list[Slots] = []
        self.by_task: dict[str, Slots] = {}
        self.moves: deque[Mapping[str, Slots]] = deque()
        """Work left for `apply`."""

    def add(self, slots: Slots) -> None:
        """Serve the tasks of these slots too; before the first turn."""
        self.slots.append(slots)
        self.by_task |= dict.fromkeys(slots.tasks, slots)

    def move(self, moves: Mapping[str, Slots]) -> None:
        """Serve each task in these slots from now on."""
        self.moves.append(moves)

    def expect_work(self) -> None:
        """Note that the store may have jobs for each of them; from any thread."""
        for slots in self.slots:
            slots.may_have_work = True

    def expects_work(self) -> bool:
        """Return whether the store may have jobs for some of them."""
        for slots in self.slots:  # noqa: SIM110  # as below
            if slots.may_have_work:
                return True
        return False

    def is_low(self) -> bool:
        """Return whether some of them will soon have nothing to do; from any thread."""
        for slots in self.slots:  # noqa: SIM110  # `any` takes three times as long: each job asks
            if slots.executor.waiting() <= slots.low_water:
                return True
        return False

    def state(self, now: float) -> SlotState:
        """Return how all of them are: what holds of any, and what is due first."""
        waiting = low = can_claim = False
        due = math.inf
        for slots in self.slots:
            one = slots.state(now)
            waiting, low = waiting or one.waiting, low or one.low
            can_claim, due = can_claim or one.can_claim, min(due, one.due)
        return SlotState(waiting, low, can_claim, due)

    def exhausted(self) -> int:
        """Return how many abandoned bodies run where as many do as there are slots."""
        return sum([slots.exhausted for slots in self.slots])

    def withdraw_all(self) -> list[Claim]:
        """Withdraw every claim that no slot has taken; from any thread."""
        return [claim for slots in self.slots for claim in slots.withdraw_all()]

    def apply(self, held: Iterable[Claim]) -> list[Claim]:
        """Serve as was said; return the claims that waited in slots where their task is no more."""
        withdrawn: list[Claim] = []
        counts = Counter(claim.task for claim in held)
        while self.moves:
            for task, slots in self.moves.popleft().items():
                withdrawn += self._move(task, slots, counts[task])
        return withdrawn

    def _move(self, task: str, slots: Slots, in_flight: int) -> list[Claim]:
        old = self.by_task.get(task)
        if old is slots:
            return []
        if slots not in self.slots:
            self.slots.append(slots)
        self.by_task[task] = slots
        slots.tasks = (*slots.tasks, task)
        slots.may_have_work = True
        if old is None:
            return []
        old.tasks = tuple(one for one in old.tasks if one != task)
        old.in_flight -= in_flight
        slots.in_flight += in_flight
        return old.withdraw_all()
