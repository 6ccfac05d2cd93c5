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
    """Return what a function declares; one whose signature can't be read takes no keywords."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return AcceptedArguments(0, 0, frozenset(), any_positional=True, any_keyword=False)
    kinds = {parameter.kind for parameter in parameters}
    positional = [parameter.name for parameter in parameters if parameter.kind in POSITIONAL]
    by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return AcceptedArguments(
        positional=len(positional),
        lead=sum(1 for _ in takewhile(lambda name: name not in GIVEN_BY_NAME, positional)),
        names=frozenset(one.name for one in parameters if one.kind in by_keyword),
        any_positional=inspect.Parameter.VAR_POSITIONAL in kinds,
        any_keyword=inspect.Parameter.VAR_KEYWORD in kinds,
    )
