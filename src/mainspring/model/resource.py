"""Resources: objects that a worker makes once and gives to bodies that are annotated so."""

from __future__ import annotations

import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import asynccontextmanager, contextmanager, suppress
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from mainspring.errors import InvalidOption
from mainspring.model.place import Placed, frame_outside, innermost
from mainspring.model.value import Value

OWNER = "@queue.resource"
EXPECTED = "a function without parameters: def or async def, with one yield or a return"

# A module may import these for type checkers only.
_YIELDED = {
    kind.__name__: kind
    for kind in (Iterator, Generator, Iterable, AsyncIterator, AsyncGenerator, AsyncIterable)
}


class Resource(Value, Placed, frozen=True):
    """A registered `function`; `manager` makes a context manager of what it gives.

    `provides` is the class that parameters are annotated with; `is_async`: made on an event loop.
    """

    function: Callable[..., Any]
    manager: Callable[[], Any]
    provides: Any
    is_async: bool

    @property
    def name(self) -> str:
        """Its full name, for messages."""
        return f"{self.module}.{self.qualname}"

    def annotate(self, error: BaseException) -> None:
        """Have an error say that this resource was being made."""
        # It may take no notes: it is the attempt's all the same.
        with suppress(Exception):
            error.add_note(f"raised as resource {self.name} was made")


Injected = Mapping[str, "Resource"]
"""Resources by the parameter that gets them."""


def resource_of(function: Any) -> Resource:
    """Return what was registered as a resource; raises InvalidOption."""
    if isinstance(function, type) or not hasattr(function, "__qualname__"):
        raise InvalidOption("function", function, owner=OWNER, expected=EXPECTED)
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):
        raise InvalidOption("function", function, owner=OWNER, expected=EXPECTED) from None
    yields = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    generator = function if yields else _yielding(function)
    manager = asynccontextmanager(generator) if is_async else contextmanager(generator)
    return Resource(function, manager, _provided(function, yields=yields), is_async)


def _yielding(function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        async def await_it() -> AsyncIterator[Any]:
            yield await function()

        return await_it

    def call_it() -> Iterator[Any]:
        yield function()

    return call_it


def _provided(function: Callable[..., Any], *, yields: bool) -> Any:
    given = resolved(function, function.__annotations__.get("return"))
    found = _of_yield(given) if yields else given
    kind = get_origin(found) or found
    if not isinstance(kind, type) or kind.__module__ == "builtins":
        wrapped = "Iterator[Database]" if yields else "Database"
        why = "does not tell the class of what it gives"
        remedy = (
            f"annotate it, as in -> {wrapped}, with a class that is known where it stands, and is "
            "none of Python's own: arguments of jobs are of these"
        )
        raise InvalidOption("function", function, owner=OWNER, why=why, remedy=remedy)
    return found


def _of_yield(annotation: Any) -> Any:
    kinds = tuple(_YIELDED.values())
    return get_args(annotation)[0] if get_origin(annotation) in kinds else None


def resolved(function: Callable[..., Any], annotation: Any) -> Any:
    """Return an annotation as a class; one that can't be looked up as its text."""
    if isinstance(annotation, str):
        names = {**_YIELDED, **getattr(innermost(function), "__globals__", {})}
        try:
            annotation = eval(annotation, names, callers_names())  # noqa: S307  # the program's own
        except Exception:  # noqa: BLE001  # a class that only type checkers import, for one
            return annotation
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def asked_by(annotation: Any) -> tuple[Any, ...]:
    """Return the classes that a parameter with this annotation asks for: `A | None` for A, too."""
    if get_origin(annotation) not in {Union, UnionType}:
        return (annotation,)
    kinds = [one for one in get_args(annotation) if one is not NoneType]
    plain = [get_args(one)[0] if get_origin(one) is Annotated else one for one in kinds]
    return (annotation, *plain) if len(plain) == 1 else (annotation,)


def callers_names() -> Mapping[str, Any]:
    """Return the local names where the program is: functions define tasks, and classes, too."""
    return frame_outside().f_locals
