"""The slots of the thread that the test runs in: one claim at a time, and those it waits for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mainspring.protocols.executor import ExecutorLoad

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from mainspring.executors.coroutine_slots import SlotGroup
    from mainspring.model.job import Claim, Grant, Outcome
    from mainspring.queue.kit.clock import MovedClock


class InlineBody:
    """A body that runs; `verdict` is the outcome that it is to end with, whatever it does."""

    def __init__(self, claim: Claim, began: float, timeout: float | None) -> None:
        self.claim = claim
        self.began = began
        self.deadline = math.inf if timeout is None else began + timeout
        self.verdict: Outcome | None = None
        self.group: SlotGroup[Claim, Outcome] | None = None

    @property
    def grant(self) -> Grant:
        """Key and fence of its claim."""
        return self.claim.key, self.claim.fence

    def interrupt(self, outcome: Callable[[Claim], Outcome]) -> None:
        """End a coroutine with that outcome now; of anything else, only what is recorded."""
        if self.group is None:
            self.verdict = self.verdict or outcome(self.claim)
        else:
            self.group.mark_interrupted(outcome, lambda claim: claim is self.claim)
            self.group.interrupt_all(outcome)


class InlineExecutor:
    """Hands claims to the thread that asks for them. Has a free slot only while it is asked."""

    kind = "inline"
    name = "inline executor"

    def __init__(self, clock: MovedClock) -> None:
        self._clock = clock
        self._inbox: list[Claim] = []
        self.bodies: list[InlineBody] = []
        self.is_asked = False

    @property
    def size(self) -> int:
        """Bodies that run, and one more for the claim that is asked for."""
        return max(1, len(self.bodies) + self.is_asked)

    def next(self) -> Claim | None:
        """Return the claim that has come, and let go of it; None if none has."""
        return self._inbox.pop(0) if self._inbox else None

    def enter(self, claim: Claim, timeout: float | None) -> InlineBody:
        """Begin a body in this thread."""
        body = InlineBody(claim, self._clock.monotonic(), timeout)
        self.bodies.append(body)
        return body

    def leave(self, body: InlineBody) -> None:
        """Free the slot of a body."""
        self.bodies.remove(body)

    def submit(self, claims: Sequence[Claim]) -> None:
        """Queue claims."""
        self._inbox += claims

    def withdraw(self, count: int) -> list[Claim]:
        """Withdraw up to `count` claims, oldest first, whose body has not begun."""
        withdrawn, self._inbox = self._inbox[:count], self._inbox[count:]
        return withdrawn

    def waiting(self) -> int:
        """Return the number of claims that have come and were not taken."""
        return len(self._inbox)

    def running(self) -> int:
        """Return the number of bodies that run now."""
        return len(self.bodies)

    def load(self) -> ExecutorLoad:
        """Return what runs; as if since ever, so that nothing is claimed ahead of its turn."""
        return ExecutorLoad(self.waiting(), self.running(), began=-math.inf)

    def lag(self) -> None:
        """Return None: there is no loop."""

    def held_since(self, claim: Claim) -> float | None:
        """Return when the body of this very claim began; None if it is to end."""
        held = (body for body in self.bodies if body.claim is claim and body.verdict is None)
        return next((body.began for body in held if not _is_interrupted(body)), None)

    def interrupt(
        self, outcome: Callable[[Claim], Outcome], grants: Collection[Grant] | None = None
    ) -> None:
        """End bodies with that outcome: all, or those of `grants`."""
        for body in self.bodies:
            if grants is None or body.grant in grants:
                body.interrupt(outcome)

    def announce_stop(self) -> None:
        """Do nothing: there is no worker that stops."""

    async def run(self, started: Callable[[], None]) -> None:
        """Return at once: it runs where it is called."""
        started()

    def close(self) -> None:
        """Do nothing: no thread is its own."""


def _is_interrupted(body: InlineBody) -> bool:
    return body.group is not None and body.group.held_since(body.claim) is None
