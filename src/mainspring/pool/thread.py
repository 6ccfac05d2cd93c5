"""A sync body in a thread. A thread can't be ended from outside: cancelled, it is left behind."""

from __future__ import annotations

import inspect
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from mainspring.supervision.run_in_thread import in_own_thread

if TYPE_CHECKING:
    from collections.abc import Callable


async def run_in_thread(
    name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Return what the function returns, awaited here if it returned an awaitable."""
    results: list[Any] = []
    call = partial(_call, results, function, args, kwargs)
    await in_own_thread(partial(copy_context().run, call), name=f"mainspring-pool {name}")
    result = results.pop()
    return await result if inspect.isawaitable(result) else result


def _call(
    results: list[Any],
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    try:
        results.append(function(*args, **kwargs))
    except StopIteration as error:
        # It can't leave a coroutine, and would be lost on the way (PEP 479).
        raise RuntimeError("the task's function raised StopIteration") from error
