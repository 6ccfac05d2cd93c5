"""The worker of bodies that run in the thread of a test: behind `current_job` there."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from mainspring.engine.claims.claim_context import ClaimContext

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mainspring.engine.attempts.running import Awaited
    from mainspring.model.job import Claim


class InlineHost(ClaimContext):
    """The host of a worker that runs what a body waits for in the midst of it."""

    def waits(self, claim: Claim, awaited: Awaited) -> AbstractContextManager[None]:  # noqa: ARG002  # as the base's
        """Return a block like any other: no slot is held that others need."""
        return nullcontext()
