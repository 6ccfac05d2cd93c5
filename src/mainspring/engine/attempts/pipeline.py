"""The pipeline of an attempt: open, run, complete; whatever is raised becomes an outcome.

Written once for all attempts: of stored jobs and of the task pool's, in a thread or on a loop. They
differ in their `AttemptSteps` only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from mainspring.clock import monotonic
from mainspring.engine.attempts.running import running
from mainspring.errors import UnreadableError
from mainspring.faults import ARMED, fault
from mainspring.model.error_text import name_of
from mainspring.supervision import forked

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.model.job import RunningJob

    Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

C_contra = TypeVar("C_contra", bound="RunningJob", contravariant=True)
O_co = TypeVar("O_co", covariant=True)


class AttemptSteps(Protocol[C_contra, O_co]):
    """Turns a claim into a call, and the call's end into an outcome."""

    def open(self, claim: C_contra, slot: int) -> Call:
        """Return the call, which begins now in that slot."""
        ...

    def completed(self, claim: C_contra, result: Any, began: float) -> O_co:
        """Return the outcome of a body that returned; what this raises fails the attempt.

        `began` is monotonic.
        """
        ...

    def decide(self, claim: C_contra, error: BaseException, began: float) -> O_co:
        """Return the outcome of a body that raised; may itself raise what inspecting it raises."""
        ...

    def lost(self, claim: C_contra, error: BaseException, began: float) -> O_co:
        """Return a failure when `decide` raised even on `error`, which is one of ours."""
        ...


def run(steps: AttemptSteps[C_contra, O_co], claim: C_contra, slot: int) -> O_co:
    """Run the body in this thread, in the caller's context: nobody else's."""
    began, forks = monotonic(), forked.forks
    running.set(claim)
    try:
        function, args, kwargs = steps.open(claim, slot)
        result = function(*args, **kwargs)
        if forked.forks != forks:
            forked.end_forked()
        if ARMED:
            fault("after_body")
        return steps.completed(claim, result, began)
    except BaseException as error:  # noqa: BLE001  # the border of an attempt
        forked.end_if_forked(forks, error)
        return failed(steps, claim, error, began)


async def arun(
    steps: AttemptSteps[C_contra, O_co],
    claim: C_contra,
    slot: int,
    asked: Callable[[float], O_co | None],
) -> O_co:
    """Run the coroutine body in the caller's task and context: nobody else's.

    `asked(began)` returns the outcome of an interruption that was asked for, or None: then a
    cancellation is the body's own doing, and an error like any other.
    """
    began, forks = monotonic(), forked.forks
    running.set(claim)
    try:
        function, args, kwargs = steps.open(claim, slot)
        result = await function(*args, **kwargs)
        if forked.forks != forks:
            forked.end_forked()
        if ARMED:
            fault("after_body")
        return steps.completed(claim, result, began)
    except BaseException as error:  # noqa: BLE001  # the border of an attempt
        forked.end_if_forked(forks, error)
        return asked(began) or failed(steps, claim, error, began)


def failed(
    steps: AttemptSteps[C_contra, O_co], claim: C_contra, error: BaseException, began: float
) -> O_co:
    """Return the outcome of a body that raised. Never raises: no outcome is ever lost.

    An error may raise whatever it is asked (by a property, its metaclass, the user's retry rules).
    Then one of ours takes its place, and if that fails too, the attempt has failed.
    """
    try:
        return steps.decide(claim, error, began)
    except BaseException as second:  # noqa: BLE001  # the border of an attempt
        plain = UnreadableError(claim.task, name_of(type(error)), name_of(type(second)))
    try:
        return steps.decide(claim, plain, began)
    except BaseException:  # noqa: BLE001  # as above
        return steps.lost(claim, plain, began)
