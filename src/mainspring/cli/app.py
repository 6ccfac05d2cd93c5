"""`--app module:attribute`: the Queue that a command works with."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.errors import AppNotFound
from mainspring.queue import Queue

if TYPE_CHECKING:
    from types import ModuleType

HELP = "where the Queue is: module:attribute, seen from this folder"


def load_app(app: str) -> Queue:
    """Return the Queue that `module:attribute` names, seen from the current directory.

    Raises AppNotFound, with the reason.
    """
    module_name, colon, path = app.partition(":")
    if not module_name or not colon or not path:
        raise AppNotFound(app, "write it as module:attribute, for example myapp.tasks:queue")
    found: object = _import(app, module_name)
    for name in path.split("."):
        found = _attribute(app, found, name)
    if not isinstance(found, Queue):
        raise AppNotFound(app, f"{path} is {type(found).__name__}; name a mainspring.Queue")
    return found


def _import(app: str, name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            why = f"there is no module {error.name!r} in {here} or on the path"
        else:
            why = _last_line(name, error)
        raise AppNotFound(app, why) from None
    except Exception as error:
        raise AppNotFound(app, _last_line(name, error)) from error


def _attribute(app: str, owner: object, name: str) -> object:
    try:
        return getattr(owner, name)
    except AttributeError:
        queues = [key for key, value in vars(owner).items() if isinstance(value, Queue)]
        hint = f"; its queues are {', '.join(queues)}" if queues else ", nor any Queue"
        label = getattr(owner, "__name__", type(owner).__name__)
        raise AppNotFound(app, f"{label} has no {name!r}{hint}") from None


def _last_line(name: str, error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = str(Path(__file__).parents[1])
    theirs = [one for one in frames if not one.filename.startswith((ours, "<frozen"))]
    place = f" ({theirs[-1].filename}, line {theirs[-1].lineno})" if theirs else ""
    return f"importing {name} raised {type(error).__name__}: {error}{place}; mend that first"
