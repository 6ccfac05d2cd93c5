"""An attempt whose errors are kept as they were raised, and whose retries wait for a known time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from mainspring.engine.attempts.attempt import Attempt, Decision
from mainspring.model.job import OutcomeKind

if TYPE_CHECKING:
    from mainspring.model.job import Claim, Outcome


class RecordedAttempt(Attempt):
    """`errors` holds what the last attempt of each job raised, by the job's key."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]  # the base's own
        self.errors: dict[int, BaseException] = {}

    def decide(self, claim: Claim, error: BaseException, began: float) -> Outcome:
        """Return the outcome of an attempt that raised, and keep the error."""
        self.errors[claim.key] = error
        return super().decide(claim, error, began)

    def outcome_of(self, claim: Claim, decision: Decision) -> Outcome:
        """Return the outcome; its retry waits as long as it may, not for a random part of that."""
        outcome = super().outcome_of(claim, decision)
        if not decision.by_backoff or outcome.kind is not OutcomeKind.RETRY:
            return outcome
        backoff = self._tasks[claim.task].backoff
        return replace(outcome, delay=backoff.delay(claim.attempt, chance=1.0))
