"""The claim whose body the calling code belongs to, and the worker it runs in: context variables.

Light to import, because a `JobHandle` asks for both when it waits: a producer loads no logging.
"""

from __future__ import annotations

from contextlib import nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from mainspring.errors import InvalidConnection

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from mainspring.model.job import RunningJob


class Awaited(Struct, frozen=True):
    """A job that a body waits for; `pending`: it has not begun.

    `slots` is the kind of slot that it needs, None for a task that nobody here runs.
    """

    id: str
    task: str
    slots: str | None
    pending: bool


class Host(Protocol):
    """The worker, as a body that runs in it may ask it."""

    @property
    def stopping(self) -> bool:
        """Return whether the worker was asked to stop."""
        ...

    def holds(self, claim: Any, /) -> bool:
        """Return whether the attempt counts: not cancelled, overdue or lost with the lease."""
        ...

    def complete_in(self, claim: Any, connection: Any, result: object, /) -> None:
        """Complete the job in the transaction that is open on `connection`."""
        ...

    def waits(self, claim: Any, awaited: Awaited, /) -> AbstractContextManager[None]:
        """Return a block in which the body waits for that job."""
        ...


class NoHost:
    """For bodies of no stored job, which are cancelled without being asked."""

    stopping = False

    def holds(self, claim: Any, /) -> bool:  # noqa: ARG002  # the seam's signature
        """Return True."""
        return True

    def complete_in(self, claim: Any, connection: Any, result: object, /) -> None:  # noqa: ARG002  # as above
        """Raise InvalidConnection."""
        raise InvalidConnection("this job is in no store", "use complete_in in tasks of a Queue")

    def waits(self, claim: Any, awaited: Awaited, /) -> AbstractContextManager[None]:  # noqa: ARG002  # as above
        """Return a block like any other."""
        return nullcontext()


NO_HOST: Host = NoHost()

host: ContextVar[Host] = ContextVar("mainspring_host", default=NO_HOST)
"""The worker that the calling code runs in."""

running: ContextVar[RunningJob | None] = ContextVar("mainspring_running_claim", default=None)
"""The claim whose body runs in this thread or coroutine."""


def waiting_for(awaited: Callable[[], Awaited]) -> AbstractContextManager[None]:
    """Return a block in which the calling code, if it is the body of a job, waits for another."""
    claim = running.get()
    return nullcontext() if claim is None else host.get().waits(claim, awaited())
