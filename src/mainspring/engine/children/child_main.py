"""The worker of a body in a child process: behind `current_job` there."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from mainspring.errors import InvalidConnection

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from mainspring.engine.attempts.running import Awaited
    from mainspring.model.job import Claim

log = logging.getLogger("mainspring.engine")


class ChildHost:
    """The host of a body in a child process, which is killed when its attempt counts no more."""

    def __init__(self, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping
        self._warned: set[tuple[str, str]] = set()

    @property
    def stopping(self) -> bool:
        """Return whether the worker was asked to stop."""
        return self._stopping()

    def holds(self, claim: Claim) -> bool:  # noqa: ARG002  # the seam's signature
        """Return True: this process would not be here."""
        return True

    def complete_in(self, claim: Claim, connection: Any, result: object) -> None:  # noqa: ARG002  # as above
        """Raise InvalidConnection: the store is in another process."""
        why = f"task {claim.task!r} runs in a child process, which does not hold its job"
        raise InvalidConnection(why, "let it run in a thread: leave out executor=")

    def waits(self, claim: Claim, awaited: Awaited) -> AbstractContextManager[None]:
        """Return a block like any other; warns, once for two tasks, of what may have no child left.

        The slots are the parent's: whether others are free is not known here.
        """
        tasks = claim.task, awaited.task
        if awaited.pending and awaited.slots == "process" and tasks not in self._warned:
            self._warned.add(tasks)
            log.warning(
                "job %s (%s) waits in a child process for job %s (%s), which needs one too: if all "
                "children of all workers wait so, they wait for ever",
                claim.id,
                claim.task,
                awaited.id,
                awaited.task,
            )
        return nullcontext()
