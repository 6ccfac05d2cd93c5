"""An attempt whose errors are kept as they were raised, and whose retries wait for a known time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.engine.attempts.attempt import Attempt

if TYPE_CHECKING:
    from mainspring.model.job import Claim, Outcome


class RecordedAttempt(Attempt):
    """`errors` holds what the last attempt of each job raised, by the job's key.

    A retry waits for the longest that its backoff allows, not for a random part of that.
    """

    chance = 1.0

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]  # the base's own
        self.errors: dict[int, BaseException] = {}

    def decide(self, claim: Claim, error: BaseException, began: float) -> Outcome:
        """Return the outcome of an attempt that raised, and keep the error."""
        self.errors[claim.key] = error
        return super().decide(claim, error, began)
