"""A function for a child process whose name leads to what a decorator made of it."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class UndecoratedByName:
    """The function inside a decorated one, which pickles by its name.

    It passes for the function, so that errors name that.
    """

    def __init__(self, decorated: Any) -> None:
        self._decorated = decorated
        functools.update_wrapper(self, decorated.__wrapped__)

    def __reduce__(self) -> tuple[Any, ...]:
        return UndecoratedByName, (self._decorated,)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        return self._decorated.__wrapped__(*args, **kwargs)


def for_child(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function in the form in which a child process can import it."""
    named: Any = sys.modules.get(getattr(function, "__module__", None) or "")
    for name in getattr(function, "__qualname__", "").split("."):
        named = getattr(named, name, None)
    inside = getattr(named, "__wrapped__", None)
    return UndecoratedByName(named) if inside is function else function
