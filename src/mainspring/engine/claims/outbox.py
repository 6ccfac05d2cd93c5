"""Outcomes on their way to the store. Knows nothing of claims, slots or turns."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mainspring.model.job import Outcome

MOST_OUTCOMES = 512
FLUSH_SECONDS = 0.01
"""While the slots have work, outcomes are flushed when there are so many, or so long after."""


class Outbox:
    """Outcomes in the order they came, in batches; any thread may put.

    A batch that the store refuses twice is halved until the outcome to blame stands alone.
    """

    def __init__(self) -> None:
        self._outcomes: deque[Outcome] = deque()
        self._taken: list[Outcome] = []
        """The batch in hand: of a turn that an exception has ended, it goes with the next one."""
        self._most = MOST_OUTCOMES
        self._refusals = 0
        self.suspected = False
        """True if an outcome is to blame for refusals: then batches go without claims."""

    def __len__(self) -> int:
        return len(self._outcomes) + len(self._taken)

    def __iter__(self) -> Iterator[Outcome]:
        return iter([*self._taken, *self._outcomes.copy()])

    def put(self, outcome: Outcome) -> bool:
        """Add an outcome; return whether there is enough for a batch."""
        self._outcomes.append(outcome)
        return len(self._outcomes) >= MOST_OUTCOMES

    def extend(self, outcomes: Iterable[Outcome]) -> None:
        """Add several."""
        self._outcomes.extend(outcomes)

    @property
    def full(self) -> bool:
        """True if there is enough for a batch."""
        return len(self._outcomes) >= MOST_OUTCOMES

    def due_in(self, now: float) -> float:
        """Return the seconds until the first has waited for long enough; `now` is monotonic."""
        first = self._taken[0] if self._taken else self._outcomes[0]
        return first.ended + FLUSH_SECONDS - now

    def take(self) -> list[Outcome]:
        """Return the next batch; it is in hand until it is accepted or put back."""
        taken, outcomes = self._taken, self._outcomes
        batch = list(islice(outcomes.copy(), max(0, self._most - len(taken))))
        # Added first, removed second: twice does no harm, since the store refuses the second.
        taken.extend(batch)
        for _ in batch:
            outcomes.popleft()
        return taken

    def put_back(self, batch: list[Outcome]) -> None:
        """Put a batch back in front, which the store could not take just now."""
        self._outcomes.extendleft(reversed(batch))
        self._taken = []

    def refuse(self, batch: list[Outcome]) -> Outcome | None:
        """Put back a batch that the store refused; return the outcome to blame, if that is known.

        It then is the first that waits, until `drop_first`.
        """
        self.put_back(batch)
        self._refusals += 1
        if len(batch) == 1 and self._most == 1:
            return batch[0]
        if self._refusals > 1:
            self.suspected = True
            self._most = max(1, len(batch) // 2)
        return None

    def drop_first(self) -> None:
        """Drop the outcome that was to blame."""
        self._outcomes.popleft()
        self.accepted()

    def accepted(self) -> None:
        """Note that a batch was recorded: the next may be whole again."""
        self._taken = []
        self._most, self._refusals, self.suspected = MOST_OUTCOMES, 0, False

    def clear(self) -> None:
        """Drop all."""
        self._taken = []
        self._outcomes.clear()
