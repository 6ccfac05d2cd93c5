"""Jobs completed in their bodies' own transactions: what is known until their attempts have ended.

Whether such a transaction was committed, the store knows: then the attempt's own outcome comes too
late and is refused, and that is as it should be. So an attempt whose body returns ends as failed,
for the case that nothing was committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.clock import monotonic
from mainspring.errors import InvalidConnection, LeaseLost
from mainspring.model.job import Outcome, OutcomeKind
from mainspring.protocols.store import Transactional

if TYPE_CHECKING:
    from mainspring.engine.node.node import Node
    from mainspring.model.job import Claim, Grant
    from mainspring.protocols import Store


class Completions:
    """The `outcomes` that bodies of one node have put into transactions of theirs."""

    def __init__(self, store: Store, node: Node) -> None:
        self._store = store
        self._node = node
        self.outcomes: dict[Grant, Outcome] = {}

    def complete(
        self, claim: Claim, connection: Any, result: bytes, *, began: float, keep: float | None
    ) -> None:
        """Complete the job in the transaction that is open on `connection`.

        Raises InvalidConnection, StoreError, or LeaseLost when the job is in other hands.
        """
        if not isinstance(self._store, Transactional):
            why, remedy = "this store has no transactions", "return the result, or use SQLite"
            raise InvalidConnection(why, remedy)
        outcome = Outcome(
            claim.key, claim.fence, OutcomeKind.COMPLETED, began, monotonic(), result, keep=keep
        )
        if not self._store.finish_in(connection, self._node.key, outcome):
            if (claim.key, claim.fence) in self.outcomes:
                raise InvalidConnection(
                    "complete_in() was called before in this attempt, and holds", "call it once"
                )
            raise LeaseLost(self._node.name)
        self.outcomes[claim.key, claim.fence] = outcome

    def settle(self, outcome: Outcome, *, accepted: bool) -> Outcome | None:
        """Return what the attempt's job was completed with, if that is why `outcome` was refused.

        In any case it is known no longer.
        """
        committed = self.outcomes.pop((outcome.key, outcome.fence), None)
        if committed is None or accepted:
            return None
        if isinstance(self._store, Transactional):
            self._store.announce()
        return committed

    def clear(self) -> None:
        """Forget all: the node has lost its jobs."""
        self.outcomes.clear()
