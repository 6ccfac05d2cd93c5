"""Values that stand in for resources during a test: the check of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mainspring.model.resource import Resource


def check_override(
    function: Callable[..., Any], resources: Mapping[str, Resource], *, processes: bool
) -> None:
    """Raise InvalidOption unless it is a resource's function, and bodies will see the override."""
    why = remedy = ""
    if all(function is not one.function for one in resources.values()):
        why = "is no resource of this queue"
        remedy = "give a function that has @queue.resource above it"
    elif processes:
        why = "is made by child processes, which see no object of the test's"
        remedy = "leave out processes=True, and their tasks run in this process"
    if why:
        raise InvalidOption("resource", function, owner="override()", why=why, remedy=remedy)
