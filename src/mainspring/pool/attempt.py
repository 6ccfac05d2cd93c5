"""An attempt of the pool: its steps of the pipeline. Nothing is encoded on the way."""

from __future__ import annotations

import inspect
from asyncio import CancelledError
from contextvars import Context, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from mainspring.clock import monotonic, wall_clock
from mainspring.engine.attempts.pipeline import arun, failed
from mainspring.engine.attempts.running import NO_HOST, host
from mainspring.errors import AttemptTimeout
from mainspring.model.job import JobState
from mainspring.model.signature import UNRUN
from mainspring.pool.body import PROGRESS, check_result
from mainspring.pool.record import Ending
from mainspring.supervision.forked import called
from mainspring.supervision.run_in_thread import in_own_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from mainspring.engine.attempts.pipeline import Call
    from mainspring.pool.caching import PoolCache
    from mainspring.pool.record import Record


class PoolAttempt:
    """Runs records. `is_cancelled` tells whether the whole loop is being cancelled."""

    def __init__(self, cache: PoolCache, is_cancelled: Callable[[], bool]) -> None:
        self._cache = cache
        self._is_cancelled = is_cancelled

    def timeout(self, claim: Record) -> float | None:
        """Return the seconds it may take, None for as long as it likes."""
        return claim.timeout

    def context(self, claim: Record) -> Context:
        """Return the context of who submitted it: a copy, which is its own."""
        return claim.context or Context()

    def kept(self, claim: Record) -> Ending | None:
        """Return the ending of a record whose result is in the cache; None if a body must run."""
        if claim.plan is None or not self._cache.find(claim, claim.plan):
            return None
        claim.began = wall_clock()
        moment = monotonic()
        return Ending(claim, JobState.COMPLETED, moment, moment, claim.result)

    def arun(
        self, claim: Record, slot: int, asked: Callable[[float], Ending | None]
    ) -> Coroutine[Any, Any, Ending]:
        """Run the body in the caller's task; see `pipeline.arun`."""
        if host.get() is not NO_HOST:  # submitted by the body of a job
            host.set(NO_HOST)
        return arun(self, claim, slot, asked)

    def open(self, claim: Record, slot: int) -> Call:  # noqa: ARG002  # the seam's signature
        """Return the call, which begins now."""
        claim.state = JobState.RUNNING
        claim.began = wall_clock()
        call = call_of(claim)
        return call if claim.plan is None else (self._cache.run, (claim, claim.plan, call), {})

    def completed(self, claim: Record, result: Any, began: float) -> Ending:
        """Return the ending of a body that returned; TypeError if it has run nothing."""
        if type(result) in UNRUN:
            check_result(claim.task, result)
        return Ending(claim, JobState.COMPLETED, began, monotonic(), result)

    def failed(self, claim: Record, error: BaseException, began: float) -> Ending:
        """Return the ending of a body that raised; never raises."""
        return failed(self, claim, error, began)

    def decide(self, claim: Record, error: BaseException, began: float) -> Ending:
        """Return the ending of a body that raised, or raise what inspecting it raises."""
        if isinstance(error, CancelledError) and self._is_cancelled():
            return cancelled(claim, began)
        # The first frame is the pipeline's own. Futures will ask the same of it.
        error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
        return self.lost(claim, error, began)

    def lost(self, claim: Record, error: BaseException, began: float) -> Ending:
        """Return the ending of an attempt that failed of `error`."""
        return Ending(claim, JobState.FAILED, began, monotonic(), None, error)

    def timed_out(self, claim: Record, began: float) -> Ending:
        """Return the ending of a body that ran past its limit."""
        left = "" if claim.body.awaited else "; its thread can't be ended and was left behind"
        error = AttemptTimeout(claim.task, claim.timeout or 0.0, left)
        return Ending(claim, JobState.FAILED, began, monotonic(), None, error)


def call_of(record: Record) -> Call:
    """Return the call of a record's function, on the loop or in a thread."""
    assert record.call is not None, "it has not ended"  # noqa: S101
    function, args, kwargs = record.call
    if record.body.reports and PROGRESS not in kwargs:
        kwargs = {**kwargs, PROGRESS: record.report}
    if record.body.awaited:
        return function, args, kwargs
    return _run_in_thread, (record.task, function, args, kwargs), {}


def cancelled(record: Record, began: float = 0.0) -> Ending:
    """Return the ending of a task that was cancelled; `began` 0: before its body."""
    return Ending(record, JobState.CANCELLED, began, monotonic())


async def _run_in_thread(
    name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Return what a sync body returns, awaited here if it returned an awaitable.

    A thread can't be ended from outside: cancelled, it is left behind.
    """
    results: list[Any] = []
    call = partial(_call_into, results, function, args, kwargs)
    await in_own_thread(partial(copy_context().run, call), name=f"mainspring-pool {name}")
    result = results.pop()
    return await result if inspect.isawaitable(result) else result


def _call_into(
    results: list[Any],
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    try:
        results.append(called(function, args, kwargs))
    except StopIteration as error:
        # It can't leave a coroutine, and would be lost on the way (PEP 479).
        raise RuntimeError("the task's function raised StopIteration") from error
