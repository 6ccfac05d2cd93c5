"""The pipeline of an attempt: open, run, seal; whatever is raised becomes an outcome.

Written once for all attempts: of stored jobs and of the task pool's, in a thread or on a loop. What
they differ in are their `Terms`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from mainspring.clock import monotonic
from mainspring.engine.attempts.running import running
from mainspring.errors import UnreadableError
from mainspring.faults import fault
from mainspring.model.error_text import name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.engine.attempts.running import Running

    Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

C_contra = TypeVar("C_contra", bound="Running", contravariant=True)
O_co = TypeVar("O_co", covariant=True)


class Terms(Protocol[C_contra, O_co]):
    """Turns a claim into a call, and the call's end into an outcome."""

    def open(self, claim: C_contra, slot: int) -> Call:
        """Return the call, which begins now in that slot."""
        ...

    def seal(self, result: Any, claim: C_contra, /) -> Any:
        """Return the result as it is kept; what this raises fails the attempt."""
        ...

    def completed(self, claim: C_contra, result: Any, began: float) -> O_co:
        """Return the outcome of a body that returned; `began` is monotonic."""
        ...

    def judge(self, claim: C_contra, error: BaseException, began: float) -> O_co:
        """Return the outcome of a body that raised; may itself raise what looking at it raises."""
        ...

    def lost(self, claim: C_contra, error: BaseException, began: float) -> O_co:
        """Return a failure when `judge` raised even on `error`, which is one of ours."""
        ...


def run(terms: Terms[C_contra, O_co], claim: C_contra, slot: int) -> O_co:
    """Run the body in this thread, in the caller's context: nobody else's."""
    began = monotonic()
    running.set(claim)
    try:
        function, args, kwargs = terms.open(claim, slot)
        result = terms.seal(function(*args, **kwargs), claim)
        fault("after_body")
        return terms.completed(claim, result, began)
    except BaseException as error:  # noqa: BLE001  # the border of an attempt
        return failed(terms, claim, error, began)


async def arun(
    terms: Terms[C_contra, O_co], claim: C_contra, slot: int, asked: Callable[[float], O_co | None]
) -> O_co:
    """Run the coroutine body in the caller's task and context: nobody else's.

    `asked(began)` returns the outcome of an interruption that was asked for, or None: then a
    cancellation is the body's own doing, and an error like any other.
    """
    began = monotonic()
    running.set(claim)
    try:
        function, args, kwargs = terms.open(claim, slot)
        result = terms.seal(await function(*args, **kwargs), claim)
        fault("after_body")
        return terms.completed(claim, result, began)
    except BaseException as error:  # noqa: BLE001  # the border of an attempt
        return asked(began) or failed(terms, claim, error, began)


def failed(
    terms: Terms[C_contra, O_co], claim: C_contra, error: BaseException, began: float
) -> O_co:
    """Return the outcome of a body that raised. Never raises: no outcome is ever lost.

    An error may raise whatever it is asked (by a property, its metaclass, the user's retry rules).
    Then one of ours is judged in its place, and if that fails too, the attempt has failed.
    """
    try:
        return terms.judge(claim, error, began)
    except BaseException as second:  # noqa: BLE001  # the border of an attempt
        plain = UnreadableError(claim.task, name_of(type(error)), name_of(type(second)))
    try:
        return terms.judge(claim, plain, began)
    except BaseException:  # noqa: BLE001  # as above
        return terms.lost(claim, plain, began)
