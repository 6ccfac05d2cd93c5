"""A process pool of the user's own: any that can `submit`, or a `multiprocessing.Pool`."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from mainspring.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VERBS = ("submit_at", "submit", "apply_async")


def check_process_pool(pool: Any) -> None:
    """Raise `InvalidOption` for what is no pool; None stands for the supervisor's own."""
    if pool is not None and not any(callable(getattr(pool, verb, None)) for verb in VERBS):
        expected = "an executor, a multiprocessing.Pool, or None"
        raise InvalidOption("mp_pool", pool, owner="TaskSupervisor", expected=expected)


def submit_to(
    pool: Any,
    priority: int,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Future[Any]:
    """Call a function in a pool, by priority if that knows any."""
    future: Future[Any]
    if hasattr(pool, "submit_at"):
        future = pool.submit_at(priority, function, *args, **kwargs)
    elif hasattr(pool, "submit"):
        future = pool.submit(function, *args, **kwargs)
    else:
        future = _apply(pool, function, args, kwargs)
    return future


def _apply(
    pool: Any, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()  # nothing takes a call out of such a pool again
    pool.apply_async(function, args, dict(kwargs), future.set_result, future.set_exception)
    return future
