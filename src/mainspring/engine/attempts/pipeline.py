"""The pipeline of an attempt: open, run, seal; whatever is raised becomes an outcome.

Written once for all attempts: of stored jobs and of the task pool's, in a thread or on a loop. What
they differ in are their `Terms`.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from mainspring.engine.attempts.context import running
from mainspring.faults import fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.engine.attempts.context import Running

    Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

C_contra = TypeVar("C_contra", bound="Running", contravariant=True)
O_co = TypeVar("O_co", covariant=True)


class Terms(Protocol[C_contra, O_co]):
    """How a claim becomes a call, and how the call's end becomes an outcome."""

    def open(self, claim: C_contra, slot: int) -> Call:
        """Return the call, which begins now in that slot."""
        ...

    def seal(self, result: Any, /) -> Any:
        """Return the result as it is kept; what this raises fails the attempt."""
        ...

    def completed(self, claim: C_contra, result: Any, began: float) -> O_co:
        """Return the outcome of a body that returned; `began` is monotonic."""
        ...

    def failed(self, claim: C_contra, error: BaseException, began: float) -> O_co:
        """Return the outcome of a body that raised."""
        ...


def run(terms: Terms[C_contra, O_co], claim: C_contra, slot: int) -> O_co:
    """Run the body in this thread, in the caller's context: nobody else's."""
    began = monotonic()
    running.set(claim)
    try:
        function, args, kwargs = terms.open(claim, slot)
        result = terms.seal(function(*args, **kwargs))
        fault("after_body")
    except BaseException as error:  # noqa: BLE001  # the border of an attempt
        return terms.failed(claim, error, began)
    return terms.completed(claim, result, began)


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
        result = terms.seal(await function(*args, **kwargs))
        fault("after_body")
    except BaseException as error:  # noqa: BLE001  # the border of an attempt
        return asked(began) or terms.failed(claim, error, began)
    return terms.completed(claim, result, began)
