"""The place of a function or class: the module and qualified name under which it can be imported.

A running script is called `__main__` in its own process only. Elsewhere it has the name of its
file, and so have the tasks that it registers, whoever runs it: Python, a profiler or a tracer.
"""

from __future__ import annotations

import functools
import inspect
import sys
from types import MethodType
from typing import TYPE_CHECKING, Any

from mainspring.errors import TaskNotImportable
from mainspring.model.script import NOWHERE, SCRIPTS, module_of_script, note_script, script_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType


class Placed:
    """The place of the `function` that a value has registered."""

    __slots__ = ()

    if TYPE_CHECKING:
        function: Callable[..., Any]

    @property
    def module(self) -> str:
        """The module under which another process can import the function."""
        return importable_module(self.function)

    @property
    def qualname(self) -> str:
        """The function's name within its module."""
        return str(self.function.__qualname__)


def frame_outside() -> FrameType:
    """Return the frame of the nearest caller outside this package."""
    frame = sys._getframe(1)  # noqa: SLF001  # documented
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("mainspring."):
        frame = frame.f_back
    return frame


def importable_module(found: Any, within: Any = None) -> str:
    """Return the module under which another process can import a function or class.

    `within`: a function of the same program, which tells where its script is.
    """
    if found.__module__ not in SCRIPTS:
        return str(found.__module__)
    return module_of_script(_script(found, within), anywhere=False)


def naming_module(function: Callable[..., Any]) -> str:
    """Return the module that the name of a function's task begins with.

    For a script within a package that is its name from outside, so that `python app/tasks.py` and
    `--app app.tasks:queue` agree.
    """
    if function.__module__ not in SCRIPTS:
        return function.__module__
    return module_of_script(_script(function), anywhere=True)


def check_importable(task: str, function: Callable[..., Any]) -> None:
    """Raise TaskNotImportable for what no other process can import, whatever its module becomes.

    A name that leads nowhere yet may still be bound, as a decorator's is when it returns.
    """
    qualname = function.__qualname__
    if "<" in qualname:
        lambda_ = qualname.endswith("<lambda>")
        why = "it is a lambda" if lambda_ else "it is defined inside a function"
        raise TaskNotImportable(task, why)
    if importable_module(function) == NOWHERE:
        raise TaskNotImportable(task, "it was typed in, and stands in no file")
    found = found_under_name(function)
    if _is_made_of(function, found) and not _leads_to(found, function):
        raise _shadowed(task, function, found)


def check_imported(task: str, function: Callable[..., Any]) -> Any:
    """Return what the function's name leads to: TaskNotImportable unless it, or a task of it."""
    found = found_under_name(function)
    if not _leads_to(found, function):
        raise _shadowed(task, function, found)
    return found


def _shadowed(task: str, function: Callable[..., Any], found: object) -> TaskNotImportable:
    place = f"{importable_module(function)}.{function.__qualname__}"
    if found is None:
        return TaskNotImportable(task, f"there is no {place}")
    why = f"{place} leads to another function"
    remedy = "let that name be bound to what is registered, as @queue.task above its def does"
    return TaskNotImportable(task, why, remedy)


def found_under_name(function: Callable[..., Any]) -> Any:
    """Return what a child would find under the function's name, None for nothing."""
    first, *rest = function.__qualname__.split(".")
    if function.__module__ in SCRIPTS:
        found: Any = _script(function).get(first)
    else:
        found = getattr(sys.modules.get(function.__module__), first, None)
    for name in rest:
        found = getattr(found, name, None)
    return found


def _leads_to(found: Any, function: Callable[..., Any]) -> bool:
    task = getattr(found, "task", None)
    held = getattr(task, "function", None)
    return any(one is function or _is_same_method(one, function) for one in (found, held))


def _is_same_method(one: Any, other: Any) -> bool:
    # Methods are made anew each time they are looked up.
    return isinstance(one, MethodType) and one == other


def _is_made_of(function: Any, found: Any) -> bool:
    """Return True if the function wraps what was found, or binds it to an object."""
    if found is None:
        return False
    inside = getattr(getattr(found, "task", None), "function", found)
    return any(layer is found or layer is inside for layer in layers(function))


def layers(function: Any) -> Iterator[Any]:
    """Yield a function and what it is made of: wrapped, bound or partially applied functions."""
    seen: set[int] = set()
    while function is not None and id(function) not in seen:
        seen.add(id(function))
        yield function
        function = _below(function)


def innermost(function: Any) -> Any:
    """Return the function at the bottom of what a function is made of."""
    *_, last = layers(function)
    return last


def _below(function: Any) -> Any:
    if isinstance(function, MethodType):
        return function.__func__
    if isinstance(function, functools.partial):
        return function.func
    return inspect.getattr_static(function, "__wrapped__", None)


def _script(*found: Any) -> Mapping[str, Any]:
    """Return the globals of the program's script, which need not be those of `__main__`."""
    for one in found:
        for layer in layers(one):
            names: Mapping[str, Any] = getattr(layer, "__globals__", {})
            if names.get("__name__") in SCRIPTS:
                note_script(names)
                return names
    return script_names()
