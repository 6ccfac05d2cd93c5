"""The `__main__` module of the program, which a child loads only when a call names it.

It knows where the parent's main module came from, and unpickles what refers to it. Loaded in a
child it is called `__mp_main__`, as with multiprocessing, so that the usual guard
`if __name__ == "__main__":` holds.
"""

from __future__ import annotations

import io
import pickle  # the bytes come over a private socket from our own parent or child
import sys
from os.path import abspath, exists
from types import ModuleType
from typing import Any

_ALIAS = "__mp_main__"

_inherited: tuple[str, str] | None = None
_is_child = False
_is_loading = False
_is_loaded = False


def origin() -> tuple[str, str] | None:
    """Return ("module", name) or ("path", file) of the main module; None: it has no source."""
    if _is_child:
        return _inherited
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name != "__main__":
        return "module", spec.name
    path = getattr(main, "__file__", None)
    # Not resolve(): what lies beside a symbolic link is imported from there.
    # A program read from standard input calls itself `<stdin>`.
    return ("path", abspath(path)) if path is not None and exists(path) else None  # noqa: PTH100, PTH110


def inherit(origin: tuple[str, str] | None) -> None:
    """Set, in a child, the origin of the parent's main module."""
    global _inherited, _is_child
    _inherited, _is_child = origin, True


def is_loading() -> bool:
    """Return whether a child is importing the parent's main module right now."""
    return _is_loading


def loads(data: bytes) -> Any:
    """Unpickle what a parent or a child of ours sent."""
    return _Unpickler(io.BytesIO(data)).load()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        if module_name in ("__main__", _ALIAS):
            _load()
            module_name = "__main__"
        return super().find_class(module_name, global_name)


def _load() -> None:
    global _is_loading, _is_loaded  # noqa: PLW0603  # a process has one main module
    if _inherited is None or _is_loading or _is_loaded:
        return
    _is_loading = True
    try:
        sys.modules["__main__"] = sys.modules[_ALIAS] = _run(*_inherited)
        _is_loaded = True
    finally:
        _is_loading = False


def _run(kind: str, where: str) -> ModuleType:
    import runpy  # noqa: PLC0415  # most children never load it: 5 ms of every start

    module = ModuleType(_ALIAS)
    if kind == "module":
        module.__dict__.update(runpy.run_module(where, run_name=_ALIAS, alter_sys=True))
    else:
        module.__dict__.update(runpy.run_path(where, run_name=_ALIAS))
    return module
