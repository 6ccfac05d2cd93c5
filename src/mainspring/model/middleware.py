"""Middleware: a context manager around each attempt of a queue's jobs, as it was registered."""

from __future__ import annotations

import inspect
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from msgspec import field

from mainspring.errors import InvalidOption
from mainspring.model.place import Placed
from mainspring.model.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable

OWNER = "@queue.middleware"
EXPECTED = (
    "a generator function with one yield, def or async def, what contextlib makes of one, or a "
    "class of context managers, each of one argument: the attempt"
)


class JobAttempt(Value, frozen=True):
    """One attempt of a job, as middleware sees it.

    `id`, `task`, `queue`: the job's. `args`, `kwargs`: its arguments, decoded; to be looked at, not
    to be changed. `attempt`: which one it is, from 1. `crashes`: the workers that died under it.
    `headers`: texts that instrumentation has sent along.
    """

    id: str
    task: str
    queue: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    attempt: int
    crashes: int
    headers: dict[str, str] = field(default_factory=dict)


class Middleware(Value, Placed, frozen=True):
    """A registered `function`; `manager` makes a context manager of an attempt.

    That `is_sync` can be entered around any body, one that `is_async` around coroutines.
    """

    function: Callable[..., Any]
    manager: Callable[[JobAttempt], Any]
    is_sync: bool
    is_async: bool

    @property
    def name(self) -> str:
        """Its full name, for messages."""
        return f"{self.module}.{self.qualname}"


def middleware_of(function: Any) -> Middleware:
    """Return what was registered as middleware; raises InvalidOption."""
    if not (callable(function) and hasattr(function, "__qualname__")):
        raise InvalidOption("function", function, owner=OWNER, expected=EXPECTED)
    _check_arguments(function)
    if isinstance(function, type):
        is_sync, is_async = _has(function, "enter", "exit"), _has(function, "aenter", "aexit")
        found = Middleware(function, function, is_sync, is_async)
    else:
        found = _of_generator(function)
    if not (found.is_sync or found.is_async):
        raise InvalidOption("function", function, owner=OWNER, expected=EXPECTED)
    return found


def _of_generator(function: Callable[..., Any]) -> Middleware:
    if inspect.isgeneratorfunction(function):
        return Middleware(function, contextmanager(function), is_sync=True, is_async=False)
    if inspect.isasyncgenfunction(function):
        return Middleware(function, asynccontextmanager(function), is_sync=False, is_async=True)
    # What `contextlib` has made of one is a manager's maker already.
    inner = getattr(function, "__wrapped__", None)
    return Middleware(
        function,
        function,
        is_sync=inspect.isgeneratorfunction(inner),
        is_async=inspect.isasyncgenfunction(inner),
    )


def _has(kind: type, *names: str) -> bool:
    return all(hasattr(kind, f"__{name}__") for name in names)


def _check_arguments(function: Callable[..., Any]) -> None:
    try:
        inspect.signature(function).bind(None)
    except (TypeError, ValueError):
        raise InvalidOption("function", function, owner=OWNER, expected=EXPECTED) from None


def replace_middleware(registered: list[Middleware], one: Middleware) -> None:
    """Add middleware; defined anew, in a reloaded module or a notebook, it replaces the old one."""
    at_top = "<" not in one.qualname
    names = [other.name for other in registered] if at_top else []
    if one.name in names:
        registered[names.index(one.name)] = one
    else:
        registered.append(one)
