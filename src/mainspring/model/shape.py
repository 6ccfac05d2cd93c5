"""The shape of a function: which arguments fit it. The usual case is told without `inspect`."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from mainspring.errors import InvalidArguments

if TYPE_CHECKING:
    from collections.abc import Callable


class Shape:
    """Whether arguments fit a signature; `name` is the task's, for the sentence that says no."""

    __slots__ = ("_least", "_most", "_name", "signature")

    def __init__(self, name: str, signature: inspect.Signature) -> None:
        self._name = name
        self.signature = signature
        parameters = signature.parameters.values()
        kinds = {parameter.kind for parameter in parameters}
        simple = kinds <= {inspect.Parameter.POSITIONAL_OR_KEYWORD}
        self._most = len(parameters) if simple else -1
        self._least = sum(1 for one in parameters if one.default is one.empty)

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise InvalidArguments unless they fit."""
        if not kwargs and self._least <= len(args) <= self._most:
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
        bound = self.bind(args, kwargs)
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


def shape_of(name: str, function: Callable[..., Any]) -> Shape:
    """Return the shape of a function."""
    return Shape(name, inspect.signature(function))
