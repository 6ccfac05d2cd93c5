"""The signature of a task: checks arguments, in the usual case without `inspect`."""

from __future__ import annotations

import inspect
from functools import partial
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any

from mainspring.errors import InvalidArguments

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

UNRUN: Mapping[type, str] = {
    CoroutineType: "a coroutine, of which nothing has run: await it, in an async def up to the top",
    GeneratorType: "a generator, of which nothing has run: make a list of it",
    AsyncGeneratorType: "an async generator, of which nothing has run: make a list of it",
}
"""Results of calls that have run nothing of their functions, and what to do with each."""

STAR = "*"
"""Begins the name of a parameter that takes all further arguments by place."""


class TaskSignature:
    """Checks arguments against a signature; `name` is the task's, for the error message.

    `inner` is the signature of the function inside a wrapper that takes anything. It says which
    calls are equal, and nothing of what fits: the wrapper may supply what that function lacks.
    """

    __slots__ = ("_inner", "_least", "_most", "_name", "_takes_all", "signature")

    def __init__(
        self, name: str, signature: inspect.Signature, inner: inspect.Signature | None = None
    ) -> None:
        self._name = name
        self.signature = signature
        self._takes_all = takes_all(signature)
        self._inner = inner if self._takes_all else None
        parameters = signature.parameters.values()
        kinds = {parameter.kind for parameter in parameters}
        simple = kinds <= {inspect.Parameter.POSITIONAL_OR_KEYWORD}
        self._most = len(parameters) if simple else -1
        self._least = sum(1 for one in parameters if one.default is one.empty)

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise InvalidArguments unless they fit."""
        if self._takes_all or (not kwargs and self._least <= len(args) <= self._most):
            return
        self.bind(args, kwargs)

    def values(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the same values, defaults included, however the call was written.

        Raises InvalidArguments.
        """
        if not kwargs and len(args) == self._most:
            return args, kwargs
        bound = self._bind_inner(args, kwargs) or self.bind(args, kwargs)
        bound.apply_defaults()
        return bound.args, dict(sorted(bound.kwargs.items()))

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
        """Return which parameter gets what; raises InvalidArguments."""
        try:
            return self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidArguments(
                f"task {self._name!r} can't be called so: {error}; "
                f"its signature is {self.signature}"
            ) from None

    def _bind_inner(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> inspect.BoundArguments | None:
        try:
            return None if self._inner is None else self._inner.bind(*args, **kwargs)
        except TypeError:
            return None  # the wrapper makes another call of it


def task_signature(
    name: str, function: Callable[..., Any], injected: Collection[str] = ()
) -> TaskSignature:
    """Return the signature of a task's function, without the parameters that a worker fills in."""
    own, inner = signature_of(function), signature_of(function, follow_wrapped=True)
    if injected:
        own, inner = without(own, injected), without(inner, injected)
    return TaskSignature(name, own, inner)


def without(signature: inspect.Signature, names: Collection[str]) -> inspect.Signature:
    """Return a signature without the parameters of these names."""
    kept = [one for name, one in signature.parameters.items() if name not in names]
    return signature.replace(parameters=kept)


def signature_of(
    function: Callable[..., Any], *, follow_wrapped: bool = False
) -> inspect.Signature:
    """Return the signature of what is called: a wrapper's own, not that of what it wraps.

    For a built-in function that does not tell its own it is one that takes anything.
    """
    try:
        return inspect.signature(function, follow_wrapped=follow_wrapped)
    except ValueError:
        return _ANY


def names_by_place(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the parameters that take arguments by place; see `name_at`.

    Of a wrapper that takes anything they are those of the function inside it.
    """
    signature = signature_of(function)
    if takes_all(signature):
        signature = signature_of(function, follow_wrapped=True)
    return tuple(
        f"{STAR}{one.name}" if one.kind is one.VAR_POSITIONAL else one.name
        for one in signature.parameters.values()
        if one.kind in _BY_PLACE
    )


def name_at(names: Sequence[str], place: int) -> str | None:
    """Return which of the `names_by_place` takes the argument at a place; None if none does."""
    if place < len(names):
        return names[place].removeprefix(STAR)
    rest = names[-1] if names else ""
    return rest.removeprefix(STAR) if rest.startswith(STAR) else None


def takes_all(signature: inspect.Signature) -> bool:
    """Return True for `(*args, **kwargs)`."""
    return {one.kind for one in signature.parameters.values()} == _VARIABLE


def is_generator(function: Callable[..., object]) -> bool:
    """Return whether calling it does nothing yet: it has a `yield`."""
    while isinstance(function, partial):
        function = function.func
    return any(
        inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one)
        for one in (function, getattr(function, "__call__", None))  # noqa: B004  an object's
    )


_BY_PLACE = {
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
}
_VARIABLE = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
_ANY = inspect.Signature(
    [
        inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
        inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
    ]
)
