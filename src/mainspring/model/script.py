"""The running script, and the names under which other processes know what it defines.

In its own process it is called `__main__`. A worker that imports it calls it by the name of its
file, and within its package if it has one, and so must what is stored. Nothing is imported here.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    Names = Mapping[str, object]

SCRIPTS = ("__main__", "__mp_main__")
"""A running script, and what `multiprocessing` calls that in its children."""

NOWHERE = "__main__"
"""Module of what was typed in, or read from standard input: no other process can import it."""

_profiled: list[Names] = []


def note_script(names: Names) -> None:
    """Remember a namespace if it is the script's: under a profiler it is not that of `__main__`."""
    if names.get("__name__") in SCRIPTS:
        _profiled[:] = [names]


def script_names() -> Names:
    """Return the namespace of the program's script, as far as it is known."""
    return _profiled[0] if _profiled else namespace(sys.modules["__main__"])


def namespace(owner: Any) -> Names:
    """Return the plain namespace of a class or module, an empty one for anything else."""
    # Neither isinstance nor getattr: a proxy's __class__, a lazy module's __getattribute__ and a
    # module's __getattr__ may run code or import.
    if issubclass(type(owner), type):
        return cast("Names", type.__getattribute__(owner, "__dict__"))
    if issubclass(type(owner), ModuleType):
        return cast("Names", object.__getattribute__(owner, "__dict__"))
    return {}


def module_of_script(script: Mapping[str, Any], *, anywhere: bool) -> str:
    """Return a script's name as a module: one that can be imported here, or `anywhere`."""
    spec = script.get("__spec__")
    # A profiler gives the script a spec of its own making, which names nothing.
    if spec is not None and spec.name not in SCRIPTS:
        return str(spec.name)
    return _module_of_file(script.get("__file__") or "", anywhere)


def module_names(module: str) -> tuple[str, ...]:
    """Return the names that processes may have for a module of this one, the most common first."""
    if module in SCRIPTS:
        script = script_names()
        ways = [module_of_script(script, anywhere=anywhere) for anywhere in (True, False)]
        return tuple(dict.fromkeys((*ways, module)))
    file = namespace(sys.modules.get(module)).get("__file__")
    if type(file) is not str or "." in module:
        return (module,)
    outside = _module_of_file(file, True)  # noqa: FBT003  # it is a cache's key
    return (module,) if outside in {module, NOWHERE} else (module, outside)


def loaded_names(module: str) -> Names:
    """Return the namespace of a loaded module, by its name here or in another process."""
    if module in sys.modules:
        names = namespace(sys.modules[module])
        return script_names() if module in SCRIPTS else names
    if module in module_names(NOWHERE):
        return script_names()
    last = module.rpartition(".")[2]
    return namespace(sys.modules.get(last)) if module in module_names(last) else {}


@functools.cache
def _module_of_file(text: str, anywhere: bool) -> str:  # noqa: FBT001  # as above
    file = Path(text)
    if not file.is_file():
        return NOWHERE
    top, package = file.absolute().parent, [file.stem]
    while (top / "__init__.py").is_file():
        top, package = top.parent, [top.name, *package]
    roots = [*sys.path, *([""] if anywhere else ())]
    reachable = len(package) > 1 and any(Path(one).resolve() == top.resolve() for one in roots)
    return ".".join(package) if reachable else file.stem
