"""Bodies called within the middleware of their queue, the first registered outermost.

Each is entered and left as by a `with` statement around the body: it sees the body's error, may
raise another in its place, and what it swallows is gone.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mainspring.model.job_options import headers_in
from mainspring.model.middleware import JobAttempt
from mainspring.supervision import forked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from types import TracebackType

    from mainspring.engine.attempts.pipeline import Call
    from mainspring.model.job import Claim
    from mainspring.model.middleware import Middleware


def within(
    middleware: Sequence[Middleware],
    claim: Claim,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    call: Call,
) -> Call:
    """Return the call of a claim's body within middleware; a coroutine's is a coroutine's again.

    `args`, `kwargs`: the job's own.
    """
    attempt = JobAttempt(
        claim.id,
        claim.task,
        claim.queue,
        args,
        kwargs,
        claim.attempt,
        claim.crashes,
        headers_in(claim.options),
    )
    run = _arun if inspect.iscoroutinefunction(call[0]) else _run
    return run, (tuple(middleware), attempt, call), {}


def _run(middleware: tuple[Middleware, ...], attempt: JobAttempt, call: Call) -> Any:
    if not middleware:
        return forked.called(*call)
    result, stage = None, "before"
    try:
        with middleware[0].manager(attempt):
            stage = ""
            result = _run(middleware[1:], attempt, call)
            stage = "after"
    except BaseException as error:
        _note(error, middleware[0], attempt, stage)
        raise
    return result


async def _arun(middleware: tuple[Middleware, ...], attempt: JobAttempt, call: Call) -> Any:
    if not middleware:
        return await forked.acalled(*call)
    result, stage = None, "before"
    try:
        async with _entered(middleware[0], attempt):
            stage = ""
            result = await _arun(middleware[1:], attempt, call)
            stage = "after"
    except BaseException as error:
        _note(error, middleware[0], attempt, stage)
        raise
    return result


def _entered(one: Middleware, attempt: JobAttempt) -> AbstractAsyncContextManager[Any]:
    manager = one.manager(attempt)
    return manager if one.is_async else _Blocking(manager)


class _Blocking:
    """A context manager that is entered and left without waiting, around a coroutine."""

    __slots__ = ("_manager",)

    def __init__(self, manager: AbstractContextManager[Any]) -> None:
        self._manager = manager

    async def __aenter__(self) -> Any:
        return self._manager.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return self._manager.__exit__(kind, error, trace)


def _note(error: BaseException, one: Middleware, attempt: JobAttempt, stage: str) -> None:
    """Have an error say that middleware raised it: its own type is what the retry rules ask."""
    if not stage:
        return
    place = "began" if stage == "before" else "had returned"
    # An error may take no notes: it is the attempt's all the same.
    with suppress(Exception):
        error.add_note(
            f"raised by middleware {one.name} {stage} the body of task {attempt.task!r} {place}"
        )
