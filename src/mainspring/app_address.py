"""`module:attribute`: the object that a command or test works with, seen from this folder."""

from __future__ import annotations

import importlib
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from mainspring.app_factory import NotUsable, held_by, is_factory, made_by
from mainspring.errors import AppNotFound

if TYPE_CHECKING:
    from types import ModuleType

T = TypeVar("T")


class Address(Generic[T]):
    """Address of an object of `kind`, which messages call `noun`; `example` is such an address.

    Or of an application that has one, or of a function that returns either. `default` is the object
    where a module alone is named.
    """

    def __init__(
        self, text: str, kind: type[T], *, noun: str, example: str, default: T | None = None
    ) -> None:
        self.text = text
        self._kind = kind
        self._noun = noun
        self._example = example
        self._default = default

    @property
    def module(self) -> str:
        """The name of the module."""
        return self.text.partition(":")[0]

    @property
    def attribute(self) -> str:
        """The path in the module, "" where it is named alone."""
        return self.text.partition(":")[2]

    def find(self) -> T:
        """Import the module and return the object. Raises `AppNotFound`, with the reason."""
        module, colon, path = self.text.partition(":")
        alone = self._default is not None and not colon
        if not module or not (path or alone):
            raise self._not_found(f"write it as module:attribute, for example {self._example}")
        if "/" in module or module.endswith(".py"):
            file = Path(module).with_suffix("")
            named = file.name if file.is_absolute() else ".".join(file.parts)
            raise self._not_found(f"name the module, not its file: {named}{colon}{path}")
        found: object = self._import(module)
        if self._default is not None and not colon:
            return self._default
        for name in path.split("."):
            found = self._attribute(found, name)
        try:
            return held_by(*self._made(path, found), self._kind)
        except NotUsable as error:
            raise self._not_found(str(error)) from None

    def _import(self, name: str) -> ModuleType:
        try:
            return import_here(name)
        except NotUsable as error:
            raise self._not_found(str(error)) from error.__cause__

    def _made(self, path: str, found: object) -> tuple[str, object]:
        """Return what was found, or what it returned if it is a factory, with a name for it."""
        if not is_factory(found):
            return path, found
        try:
            return f"what {path}() returned", made_by(path, found)  # type: ignore[arg-type]  # it is callable
        except NotUsable:
            raise
        except (Exception, SystemExit) as error:
            raise self._not_found(_reason(f"{path}()", error)) from error

    def _attribute(self, owner: object, name: str) -> object:
        try:
            return getattr(owner, name)
        except AttributeError:
            known = getattr(owner, "__dict__", {})
            ours = [key for key, value in known.items() if isinstance(value, self._kind)]
            named = f"; its {self._noun}s are {', '.join(ours)}"
            hint = named if ours else f", nor any {self._kind.__name__}"
            label = getattr(owner, "__name__", type(owner).__name__)
            raise self._not_found(f"{label} has no {name!r}{hint}") from None

    def _not_found(self, why: str) -> AppNotFound:
        return AppNotFound(self.text, self._kind.__name__, why)


def import_here(name: str) -> ModuleType:
    """Import a module, seen from this folder. Raises NotUsable, with the reason."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            why = f"there is no module {error.name!r} in {here} or on the path"
        else:
            why = _reason(f"importing {name}", error)
        raise NotUsable(why) from None
    except (Exception, SystemExit) as error:
        raise NotUsable(_reason(f"importing {name}", error)) from error


MOST_FRAMES = 5


def _reason(what: str, error: BaseException) -> str:
    """Return what went wrong in the user's code, and the lines that led there."""
    said = " ".join(str(getattr(error, "msg", None) or error).split())
    places = _places(error)
    last = f" ({places[-1][0]})" if places else ""
    lines = [f"\n  {place}: {text}".rstrip(": ") for place, text in places[-MOST_FRAMES:]]
    more = "".join(lines) if len(lines) > 1 else ""
    return f"{what} raised {type(error).__name__}: {said}{last}; mend that first{more}"


def _places(error: BaseException) -> list[tuple[str, str]]:
    """Return file and line with their text, of the frames that are the user's; the last one last.

    A syntax error is where it stands, not where it was found.
    """
    ours = str(Path(__file__).parent)
    frames = [
        (f"{one.filename}, line {one.lineno}", one.line or "")
        for one in traceback.extract_tb(error.__traceback__)
        if not one.filename.startswith((ours, "<frozen", _IMPORTLIB))
    ]
    if isinstance(error, SyntaxError) and error.filename is not None:
        text = (error.text or "").strip()
        frames.append((f"{error.filename}, line {error.lineno}", text))
    return frames


_IMPORTLIB = str(Path(importlib.__file__).parent)
