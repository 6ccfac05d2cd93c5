"""The seam between claims and the slots that run them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mainspring.protocols.lifetime import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.model.job import Claim, Outcome


class Executor(Service, Protocol):
    """Runs attempts in slots of one kind. Outcomes go to the function it was made with.

    `submit` never blocks and may be called from any thread; a claim waits in order until a slot is
    free, or until it is withdrawn.
    """

    @property
    def kind(self) -> str:
        """`async`, `thread` or `process`: what a task's `executor` says."""
        ...

    @property
    def size(self) -> int:
        """How many attempts run at once."""
        ...

    @property
    def interruptible(self) -> bool:
        """Whether `interrupt` ends a body that runs (a thread's can only be abandoned)."""
        ...

    def submit(self, claims: Sequence[Claim]) -> None:
        """Queue claims for the slots."""
        ...

    def withdraw(self, count: int) -> list[Claim]:
        """Take back up to `count` claims, oldest first, whose body has not begun."""
        ...

    def waiting(self) -> int:
        """How many submitted claims no slot has taken yet."""
        ...

    def running(self) -> int:
        """How many attempts run now."""
        ...

    def began(self) -> float:
        """Return when the oldest running attempt began (monotonic), infinity if none runs."""
        ...

    def interrupt(self, outcome: Callable[[Claim], Outcome]) -> None:
        """End every running attempt with that outcome; a body that can't be ended is abandoned."""
        ...
