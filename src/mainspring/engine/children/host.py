"""What a child process knows of the body that runs in it: behind `current_job` there."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from mainspring.errors import InvalidConnection

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from mainspring.model.job import Claim


class ChildHost:
    """The host of a body in a child process, which is killed when its attempt counts no more."""

    def __init__(self, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping

    @property
    def stopping(self) -> bool:
        """Whether the worker was asked to stop."""
        return self._stopping()

    def holds(self, claim: Claim) -> bool:  # noqa: ARG002  # the seam's signature
        """Return True: this process would not be here."""
        return True

    def complete_in(self, claim: Claim, connection: Any, result: object) -> None:  # noqa: ARG002  # as above
        """Raise InvalidConnection: the store is in another process."""
        why = f"task {claim.task!r} runs in a child process, which does not hold its job"
        raise InvalidConnection(why, "let it run in a thread: leave out executor=")

    def waits(
        self,
        claim: Claim,  # noqa: ARG002  # as above
        job_id: str,  # noqa: ARG002  # as above
        task: str,  # noqa: ARG002  # as above
        /,
        *,
        pending: bool,  # noqa: ARG002  # as above
    ) -> AbstractContextManager[None]:
        """Return a block like any other: the slots are the parent's."""
        return nullcontext()
