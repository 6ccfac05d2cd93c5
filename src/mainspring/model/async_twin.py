"""The async twin of a blocking method: the same call, in a thread, while the event loop goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")


def off_loop(
    method: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Return a coroutine function that calls `method` in a thread.

    The call sees the caller's context variables. Cancelling the caller does not end it.
    """

    async def twin(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        import asyncio  # noqa: PLC0415  # a lazy door: producers in sync code never load it

        return await asyncio.to_thread(method, self, *args, **kwargs)

    name = method.__name__
    twin.__name__, twin.__doc__ = f"a{name}", f"Call `{name}` without blocking the event loop."
    twin.__qualname__ = f"{method.__qualname__.rpartition('.')[0]}.a{name}"
    twin.__module__ = method.__module__
    return twin
