"""Errors of failed jobs as exceptions again, of their own class where that is safe.

A store says the original error's type as a text, and whoever can write to the store chooses it. So
the text leads to a class in two ways only: it names a built-in exception, or a class that the
program itself has registered. Nothing is imported, and nothing called but that class with the
message.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

from mainspring.errors import MainspringError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainspring.model.job import Failure


class RemoteError(MainspringError):
    """The original error of a failed attempt, as its evidence: type, message, traceback text."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(f"{failure}\n\n{failure.traceback}" if failure.traceback else str(failure))


def cause_of(failure: Failure, registered: Mapping[str, type[Exception]]) -> Exception:
    """Return the evidence: a RemoteError, or the original's class with that as its cause.

    `registered` are classes by their full name, as in `Failure.type`. The class is given the
    message and nothing else; if it does not take that, the RemoteError must do.
    """
    remote = RemoteError(failure)
    kind = registered.get(failure.type) or _built_in(failure.type)
    if kind is None:
        return remote
    try:
        made: object = kind(failure.message)
    except Exception:  # noqa: BLE001  # a registered class may ask for more, and raise what it likes
        return remote
    if not isinstance(made, kind):
        return remote
    made.__cause__ = remote
    return made


def _built_in(name: str) -> type[Exception] | None:
    module, _, own_name = name.partition(".")
    found = vars(builtins).get(own_name) if module == "builtins" else None
    # What a program has put into `builtins` itself is not built in.
    if isinstance(found, type) and issubclass(found, Exception) and found.__module__ == "builtins":
        return found
    return None
