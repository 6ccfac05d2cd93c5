"""`injected`: the default of a parameter that a worker fills in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from mainspring.model.place import innermost

if TYPE_CHECKING:
    from collections.abc import Callable


class InjectedDefault:
    """Type of `injected`."""

    def __repr__(self) -> str:
        return "injected"

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"there is no {name!r} here: a worker fills this parameter in; give it a value where "
            "you call the function yourself"
        )


injected: Any = InjectedDefault()
"""Default of a parameter that a worker fills in, for type checkers: `db: Database = injected`."""


def is_marked(function: Callable[..., Any]) -> bool:
    """Return whether a parameter has the default `injected`."""
    function = innermost(function)
    defaults = getattr(function, "__defaults__", None) or ()
    by_name = getattr(function, "__kwdefaults__", None) or {}
    return any(one is injected for one in (*defaults, *by_name.values()))
