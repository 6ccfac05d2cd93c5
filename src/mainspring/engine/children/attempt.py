"""The parent's side: an attempt sent to a child process, and the outcome when that dies.

Attempts are counted here, where the task's options are known.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from msgspec.structs import replace

from mainspring.clock import monotonic
from mainspring.engine.attempts.attempt import crashed, put_off, released
from mainspring.engine.children.request import (
    around,
    decode_decision,
    is_current,
    places_of,
    request_of,
)
from mainspring.errors import AttemptTimeout, ChildDied, ChildStartFailed, NotRunning
from mainspring.model.job import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.engine.attempts.attempt import Attempt, Decision, Tasks
    from mainspring.engine.children.request import TaskPlaces
    from mainspring.model.job import Claim, Grant, Outcome
    from mainspring.model.middleware import Middleware


class Children(Protocol):
    """The pool of children."""

    def request(  # noqa: PLR0913  # the pool's
        self,
        payload: bytes,
        *,
        label: str = ...,
        timeout: float | None = ...,
        key: Any = ...,
        on_note: Callable[[bytes], object] | None = ...,
        warm_up: tuple[Any, bytes] | None = ...,
        on_begin: Callable[[], object] | None = ...,
    ) -> bytes:
        """Have a child answer."""
        ...

    def kill(self, key: Any) -> bool:
        """Kill the child that answers the request of that key; False if none does yet."""
        ...

    def withdraw(self, key: Any) -> bool:
        """End the request of that key, if it still waits for a child."""
        ...


class ChildAttempt:
    """Runs claims in children; what a thread slot needs of an attempt."""

    def __init__(  # noqa: PLR0913  # as an attempt here
        self,
        attempt: Attempt,
        tasks: Tasks,
        children: Children,
        note: Callable[[int, int, int], None],
        *,
        on_note: Callable[[bytes], object] | None = None,
        middleware: Sequence[Middleware] = (),
    ) -> None:
        self._on_note = on_note
        self._middleware = middleware
        self._attempt = attempt
        self._tasks = tasks
        self._children = children
        self._note = note
        self._asked: dict[Grant, Callable[[Claim], Outcome]] = {}
        self._places: dict[str, TaskPlaces] = {}

    def timeout(self, claim: Claim) -> float | None:  # noqa: ARG002  # the seam's signature
        """Return None: the pool keeps the deadline, by killing the child."""
        return None

    def timed_out(self, claim: Claim, began: float) -> Outcome:
        """Return the outcome of an attempt that ran past its limit."""
        return self._attempt.timed_out(claim, began)

    def failed(self, claim: Claim, error: BaseException, began: float) -> Outcome:
        """Return the outcome of an attempt that an exception has ended here; never raises."""
        return self._attempt.failed(claim, error, began)

    def kill(self, claim: Claim, outcome: Callable[[Claim], Outcome]) -> None:
        """Kill the child that runs this very claim, which ends with that outcome."""
        grant = claim.key, claim.fence
        self._asked[grant] = outcome
        if not self._children.kill(grant):
            self._children.withdraw(grant)

    def run(self, claim: Claim, slot: int) -> Outcome:
        """Run it in a child; never raises."""
        if self._tasks[claim.task].executor != "process":
            return released(claim)  # defined anew, for other slots
        return self._run(claim, slot)

    def _run(self, claim: Claim, slot: int) -> Outcome:
        began = monotonic()
        try:
            return self._outcome_of(claim, decode_decision(self._send(claim, slot)))
        except AttemptTimeout:
            return self._attempt.timed_out(claim, began)
        except BaseException as error:  # noqa: BLE001  # the border of an attempt
            if (outcome := self._asked.get((claim.key, claim.fence))) is not None:
                return outcome(claim)
            if isinstance(error, ChildDied):
                return crashed(claim, error, began)
            if isinstance(error, (ChildStartFailed, NotRunning)):
                return put_off(claim, error, began)
            return self._attempt.failed(claim, error, began)
        finally:
            self._asked.pop((claim.key, claim.fence), None)

    def _outcome_of(self, claim: Claim, decision: Decision) -> Outcome:
        keep = self._attempt.task_of(claim).keep_result
        if keep is not None and decision.outcome.kind is OutcomeKind.COMPLETED:
            return replace(decision.outcome, keep=keep)
        return self._attempt.outcome_of(claim, decision)

    def _send(self, claim: Claim, slot: int) -> bytes:
        places = self._places_of(claim.task)
        grant = claim.key, claim.fence
        return self._children.request(
            request_of(claim, places),
            label=claim.task,
            timeout=self._attempt.timeout(claim),
            key=grant,
            on_note=self._on_note,
            warm_up=places.warm_up,
            # Not before: a worker that is killed while its child starts or imports charges nobody.
            on_begin=partial(self._begin, slot, claim),
        )

    def _places_of(self, name: str) -> TaskPlaces:
        # Whose function it is: the cache's own stands in its place elsewhere.
        task, kept = self._tasks[name], self._places.get(name)
        here = around(self._middleware, task)
        if kept is None or kept.around != here or not is_current(kept, task):
            kept = self._places[name] = places_of(task, here)
        return kept

    def _begin(self, slot: int, claim: Claim) -> None:
        if (claim.key, claim.fence) in self._asked:
            # When it neither waited for a child nor had one.
            raise NotRunning(f"job {claim.id} was to end before it began")
        self._note(slot, claim.key, claim.fence)
        self._attempt.tell_began(claim)
