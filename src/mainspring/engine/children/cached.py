"""An attempt in a child process, with the cache before it: the child itself knows of none."""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.model.job import Outcome, OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.engine.cache.cache import JobCache
    from mainspring.engine.cache.single_flight import Turn
    from mainspring.engine.children.attempt import ChildAttempt
    from mainspring.model.job import Claim, Grant
    from mainspring.protocols import Codec


class CachedChildAttempt:
    """Asks the cache in the slot's thread, and sends to a child what it has not got."""

    def __init__(self, attempt: ChildAttempt, cache: JobCache, codec: Codec) -> None:
        self._attempt = attempt
        self._cache = cache
        self._codec = codec
        self._asked: dict[Grant, Callable[[Claim], Outcome]] = {}
        self._turns: dict[Grant, Turn] = {}
        self.timeout = attempt.timeout
        self.timed_out = attempt.timed_out
        self.failed = attempt.failed

    def kill(self, claim: Claim, outcome: Callable[[Claim], Outcome]) -> None:
        """End this very claim's attempt with that outcome, wherever it is."""
        grant = claim.key, claim.fence
        self._asked[grant] = outcome
        self._attempt.kill(claim, outcome)
        # It may wait for its turn, with no child that could be killed.
        if (turn := self._turns.get(grant)) is not None:
            turn.decided.cancel()

    def run(self, claim: Claim, slot: int) -> Outcome:
        """Run it in a child unless the cache has its result; never raises."""
        turn = self._cache.turn_of(claim)
        if turn is None:
            return self._attempt.run(claim, slot)
        began, grant = monotonic(), (claim.key, claim.fence)
        self._turns[grant] = turn
        try:
            return self._outcome(claim, slot, turn, began)
        finally:
            del self._turns[grant]
            self._asked.pop(grant, None)
            # Harmless for one whose result was kept.
            turn.give_up()

    def _outcome(self, claim: Claim, slot: int, turn: Turn, began: float) -> Outcome:
        try:
            leads = turn.decided.result(turn.limit)
        except TimeoutError:
            return self._attempt.timed_out(claim, began)
        except CancelledError:
            leads = True
        if (asked := self._asked.get((claim.key, claim.fence))) is not None:
            return asked(claim)
        if not leads and (found := self._completed(claim, turn, began)) is not None:
            return found
        outcome = self._attempt.run(claim, slot)
        if outcome.kind is OutcomeKind.COMPLETED and outcome.result is not None:
            self._keep(claim, turn, outcome.result)
        return outcome

    def _keep(self, claim: Claim, turn: Turn, result: bytes) -> None:
        try:
            value = self._codec.decode_result(result, claim.task)
        except Exception as error:  # noqa: BLE001  # its class may be loaded in the child only
            self._cache.refuse(claim.task, error)  # the job has its result all the same
        else:
            turn.land_and_wait(value)

    def _completed(self, claim: Claim, turn: Turn, began: float) -> Outcome | None:
        try:
            result = self._codec.encode_result(turn.value, claim.task)
        except (ValueError, TypeError):
            return None  # what an adapter gives may be anything: let the body say what it is
        kind = OutcomeKind.COMPLETED
        return Outcome(claim.key, claim.fence, kind, began, monotonic(), result)
