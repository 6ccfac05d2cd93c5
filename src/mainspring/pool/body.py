"""The body of a task: its function, name and signature, and whether it is awaited.

Found once a function. A bound method is known by its function.
"""

from __future__ import annotations

import inspect
import sys
from contextlib import suppress
from functools import partial
from inspect import isasyncgenfunction, isgeneratorfunction
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from mainspring.model.signature import UNRUN, TaskSignature
from mainspring.pool.task_types import types

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRESS = "progress_callback"


class ProgressCallback(Protocol):
    """Reports how far a task has come: the argument `progress_callback` of a function."""

    def __call__(self, progress: float, /) -> None:
        """Report progress from 0.0 to 1.0."""
        ...


class Body:
    """A function's traits; it does not hold the function itself, which may be a passing one."""

    __slots__ = ("awaited", "name", "reports", "shape", "stable_name")

    def __init__(self, function: Callable[..., Any]) -> None:
        check_function(function)
        self.stable_name = _stable_name(function)
        self.name = types.name_of(function) or _given_name(function)
        self.awaited = _is_awaited(function)
        signature = _signature(function)
        self.reports = signature is not None and PROGRESS in _by_keyword(signature)
        self.shape = None if signature is None else TaskSignature(self.name, signature)
        if signature is not None and self.reports:
            self.shape = TaskSignature(self.name, _without_progress(signature))

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise InvalidArguments unless they fit."""
        if self.shape is None:
            return
        if self.reports and PROGRESS in kwargs:
            kwargs = {name: value for name, value in kwargs.items() if name != PROGRESS}
        self.shape.check(args, kwargs)


_bodies: WeakKeyDictionary[Callable[..., Any], Body] = WeakKeyDictionary()
_methods: WeakKeyDictionary[Callable[..., Any], Body] = WeakKeyDictionary()
_registered_methods: dict[Callable[..., Any], Body] = {}
"""Bound methods under names of their own; the table of types keeps them, too."""


def body_of(function: Callable[..., Any]) -> Body:
    """Return the traits of a function; TypeError for what can't be called."""
    try:
        return _bodies[function]
    except (KeyError, TypeError):
        return _learn(function)


def _learn(function: Callable[..., Any]) -> Body:
    if not callable(function):
        raise _no_function(function)
    if inspect.ismethod(function):
        if types.name_of(function) is None:
            return _remember(_methods, function.__func__, function)
        body = _registered_methods.get(function)
        if body is None:
            body = _registered_methods[function] = Body(function)
        return body
    return _remember(_bodies, function, function)


def _remember(
    known: WeakKeyDictionary[Callable[..., Any], Body],
    key: Callable[..., Any],
    function: Callable[..., Any],
) -> Body:
    try:
        body = known.get(key)
        if body is None:
            body = known[key] = Body(function)
    except TypeError:  # a callable that has no hash, or no weak reference
        return Body(function)
    return body


def check_function(function: Callable[..., Any]) -> None:
    """Raise TypeError for a function with a `yield`: to call it runs nothing of it."""
    call = getattr(type(function), "__call__", None)  # noqa: B004  # to look at it
    if any(isgeneratorfunction(one) or isasyncgenfunction(one) for one in (function, call)):
        raise TypeError(
            f"{_given_name(function)} has a yield, so to call it runs nothing; give a function "
            "that returns, or one that goes through it: lambda: list(...)"
        )


def check_result(task: str, result: object) -> None:
    """Raise TypeError for what a function returned in the place of having run."""
    if type(result) in UNRUN:
        if isinstance(result, CoroutineType):
            result.close()  # or Python warns that it was never awaited
        raise TypeError(f"task {task!r} returned {UNRUN[type(result)]}")


def _no_function(given: object) -> TypeError:
    if isinstance(given, CoroutineType):
        given.close()  # or Python warns that it was never awaited
        return TypeError(
            f"a task is a function, not the coroutine {given.__qualname__}; give the function and "
            "its arguments: add_task(function, 1, 2)"
        )
    if isinstance(given, str):
        return TypeError(
            f"a task is a function, not its type {given!r}; give get_task_function({given!r})"
        )
    return TypeError(f"a task is a function, not {given!r}")


def forget(function: Callable[..., Any]) -> None:
    """Forget the traits of a function, whose name has changed."""
    _registered_methods.pop(function, None)
    with suppress(TypeError):  # it has no weak reference
        _bodies.pop(function, None)


def _is_awaited(function: Callable[..., Any]) -> bool:
    if inspect.iscoroutinefunction(function):
        return True
    call = getattr(type(function), "__call__", None)  # noqa: B004  # to look at it
    return inspect.iscoroutinefunction(call)


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # some built-in functions tell nobody
        return None


def _by_keyword(signature: inspect.Signature) -> set[str]:
    kinds = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    return {one.name for one in signature.parameters.values() if one.kind in kinds}


def _without_progress(signature: inspect.Signature) -> inspect.Signature:
    kept = [one for one in signature.parameters.values() if one.name != PROGRESS]
    return signature.replace(parameters=kept)


def _given_name(function: Callable[..., Any]) -> str:
    # Not what `repr` says: that is another name for each object, and shows what a partial holds.
    while isinstance(function, partial):
        function = function.func
    return str(getattr(function, "__qualname__", None) or type(function).__qualname__)


def _stable_name(function: Callable[..., Any]) -> str | None:
    """Return a name that no other function has, in no other run either; None if it has none."""
    registered = types.name_of(function)
    if registered is not None:
        return f"@{registered}"
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not module or not name or "<" in name or inspect.ismethod(function):
        return None
    # Two wrappers of one function bear its name; only what stands under the name may use it.
    found = _stands_at(module, name)
    return f"{module}.{name}" if found is None or found is function else None


def _stands_at(module: str, name: str) -> object | None:
    found: object | None = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
