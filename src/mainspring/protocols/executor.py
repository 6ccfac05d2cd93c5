"""The seam between claims and the slots that run them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from mainspring.protocols.lifetime import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from mainspring.model.job import Claim, Grant, Outcome
    from mainspring.protocols.store import Listener


class ExecutorLoad(NamedTuple):
    """The load of an executor at one moment.

    `waiting` claims that no slot has taken, `running` attempts, the oldest of which `began`
    (monotonic; infinity if none runs), and `abandoned` bodies that could not be ended and still
    run, beside those in the slots.
    """

    waiting: int
    running: int
    began: float
    abandoned: int = 0


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
        """Attempts that may run at once."""
        ...

    def submit(self, claims: Sequence[Claim]) -> None:
        """Queue claims for the slots."""
        ...

    def withdraw(self, count: int) -> list[Claim]:
        """Return up to `count` claims, oldest first, whose body has not begun."""
        ...

    def waiting(self) -> int:
        """Return the number of submitted claims that no slot has taken yet."""
        ...

    def load(self) -> ExecutorLoad:
        """Return what it has to do."""
        ...

    def lag(self) -> float | None:
        """Return the seconds for which its event loop keeps a call waiting; None: it has none."""
        ...

    def held_since(self, claim: Claim) -> float | None:
        """Return when the slot began that runs this very claim (monotonic).

        None: no slot does, or it was interrupted.
        """
        ...

    def interrupt(
        self, outcome: Callable[[Claim], Outcome], grants: Collection[Grant] | None = None
    ) -> None:
        """End running attempts with that outcome; a body that can't be ended is abandoned.

        Of all claims, or of `grants`: of these, what waits for a slot ends without a body.
        A body that ends first wins.
        """
        ...

    def announce_stop(self) -> None:
        """Announce to bodies, wherever they run, that the worker was asked to stop."""
        ...


@runtime_checkable
class ListeningExecutor(Protocol):
    """An executor whose idle slots can wait for work themselves, which saves a thread hop."""

    def listen_when_idle(self, listener: Listener, on_notice: Callable[[], None]) -> None:
        """Have one idle slot at a time wait at `listener`, and call `on_notice` in its thread."""
        ...


@runtime_checkable
class LocatingExecutor(Protocol):
    """An executor that can say where its bodies are just now."""

    def whereabouts(self, job_ids: Collection[str]) -> list[tuple[Claim, str]]:
        """Return for each running body of these jobs its claim and its stack; from any thread."""
        ...
