"""The arguments that a function accepts, so that it is called with just those."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

GIVEN_BY_NAME = ("_worker", "_name", "_task_id", "o")
"""The arguments that a worker gives to a target that declares them."""

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
BY_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True)
class AcceptedArguments:
    """The parameters of a function, of which a bound `self` is none."""

    positional: int
    lead: int
    """The positional ones before the first that a worker gives by its name."""
    names: frozenset[str]
    any_positional: bool
    any_keyword: bool

    def takes(self, name: str) -> bool:
        """Return whether it can be given by keyword."""
        return self.any_keyword or name in self.names


def accepted_arguments(function: Callable[..., object]) -> AcceptedArguments:
    """Return what a function accepts; one whose signature can't be read takes no keywords.

    A wrapper accepts what it declares; what it takes in a `*args` or `**kwargs` it hands on, so
    there it accepts what the function inside does.
    """
    inner = _parameters(function, follow_wrapped=True)
    if inner is None:
        return AcceptedArguments(0, 0, frozenset(), any_positional=True, any_keyword=False)
    own = _parameters(function, follow_wrapped=False)
    if own is None:  # as of a cache in C, which hands everything on
        own = inner
    kinds, last = {one.kind for one in own}, {one.kind for one in inner}
    by_place = inner if inspect.Parameter.VAR_POSITIONAL in kinds else own
    positional = [one.name for one in by_place if one.kind in POSITIONAL]
    by_name = [*own, *inner] if inspect.Parameter.VAR_KEYWORD in kinds else own
    return AcceptedArguments(
        positional=len(positional),
        lead=sum(1 for _ in takewhile(lambda name: name not in GIVEN_BY_NAME, positional)),
        names=frozenset(one.name for one in by_name if one.kind in BY_KEYWORD),
        any_positional=inspect.Parameter.VAR_POSITIONAL in kinds & last,
        any_keyword=inspect.Parameter.VAR_KEYWORD in kinds & last,
    )


def _parameters(
    function: Callable[..., object], *, follow_wrapped: bool
) -> list[inspect.Parameter] | None:
    try:
        signature = inspect.signature(function, follow_wrapped=follow_wrapped)
    except (TypeError, ValueError):
        return None
    return list(signature.parameters.values())
