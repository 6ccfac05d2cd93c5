"""A function that makes the object of an address, or an application that has it."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")


class NotUsable(Exception):
    """A factory, or an application, gives no such object; the text says why."""


def is_factory(found: object) -> bool:
    """Return whether it is a function.

    An application may be callable, too, and is none; nor is a worker, whose call is its body.
    """
    function = inspect.isroutine(found) and not inspect.ismethoddescriptor(found)
    return function or isinstance(found, functools.partial)


def made_by(path: str, factory: Callable[..., object]) -> object:
    """Return what a factory returns, called without arguments. Raises NotUsable, or its error."""
    try:
        inspect.signature(factory).bind()
    except TypeError as error:
        raise NotUsable(f"{path}() can't be called without arguments: {error}") from None
    made = factory()
    if inspect.iscoroutine(made):
        made.close()
        raise NotUsable(f"{path} is async; name a plain function")
    if made is None:
        raise NotUsable(f"{path}() returned None; let it return the app")
    return made


def held_by(label: str, app: object, kind: type[T]) -> T:
    """Return the one object of `kind` that an application has: itself, or where they keep such.

    As an attribute, in `app.state` (Starlette) or in `app.extensions` (Flask). Raises NotUsable.
    """
    if isinstance(app, kind):
        return app
    # By place: one object may stand under two names.
    found = {id(one): (where, one) for where, one in _held(app) if isinstance(one, kind)}
    if len(found) == 1:
        ((_, only),) = found.values()
        return only
    name, noun = type(app).__name__, kind.__name__
    if not found:
        raise NotUsable(
            f"{label} is {name}, and has no {noun}; name or return a mainspring.{noun}, or an app "
            "that has one as an attribute, in its state or its extensions"
        )
    places = ", ".join(where for where, _ in found.values())
    raise NotUsable(f"{label} is {name}, and has several: {places}; name or return one of them")


def _held(app: object) -> Iterator[tuple[str, Any]]:
    yield from _attributes(app)
    state = getattr(app, "state", None)
    for name, one in _attributes(getattr(state, "_state", state)):
        yield f"state.{name}", one
    extensions = getattr(app, "extensions", None)
    if isinstance(extensions, dict):
        for name, one in extensions.items():
            yield f"extensions[{name!r}]", one


def _attributes(owner: object) -> list[tuple[str, Any]]:
    values = owner if isinstance(owner, dict) else getattr(owner, "__dict__", {})
    return [(str(name), one) for name, one in values.items()]
