"""Modules with tasks, found by their name in each of some packages."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec

from mainspring.errors import InvalidOption

OWNER = "Queue.autodiscover()"
REMEDY = (
    "give names of packages, as in ['shop', 'shop.mail']; of Django's applications "
    "[one.name for one in django.apps.apps.get_app_configs()]"
)


def autodiscover(packages: Iterable[str], name: str) -> list[str]:
    """Import the module of that name of each package that has one; return their names."""
    if isinstance(packages, str) or not isinstance(packages, Iterable):
        example = [packages] if isinstance(packages, str) else ["shop", "shop.mail"]
        expected = f"a list of packages, as in {example}"
        raise InvalidOption("packages", packages, owner=OWNER, expected=expected)
    if not _is_dotted(name) or name.endswith(".py"):
        raise InvalidOption("name", name, owner=OWNER, expected="the name of a module, as 'tasks'")
    return [found for one in packages if (found := _imported(one, name)) is not None]


def _imported(package: str, name: str) -> str | None:
    if not _is_dotted(package):
        raise InvalidOption("packages", package, owner=OWNER, why="is no name", remedy=REMEDY)
    if not _is_package(package):
        why = "is no package that can be imported"
        raise InvalidOption("packages", package, owner=OWNER, why=why, remedy=REMEDY)
    module = f"{package}.{name}"
    if find_spec(module) is None:
        return None
    try:
        import_module(module)
    except BaseException as error:
        with suppress(Exception):  # it may take no notes
            error.add_note(f"raised as {OWNER} imported {module}")
        raise
    return module


def _is_package(name: str) -> bool:
    try:
        spec = find_spec(name)
    except ModuleNotFoundError as error:
        # Of a package above it, or of what that imports: the latter is an error to be seen.
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            return False
        raise
    return spec is not None and spec.submodule_search_locations is not None


def _is_dotted(name: object) -> bool:
    return isinstance(name, str) and all(part.isidentifier() for part in name.split("."))
