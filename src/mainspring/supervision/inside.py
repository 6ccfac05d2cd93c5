"""The background work that the calling code is a part of: the answer to "do I wait for myself?".

A scope is entered before a target or a hook of the user's runs. What that starts, a task or a
thread that gets the context, belongs to the scope as long as it lasts.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Work(Protocol):
    """Runs that follow one another, with pauses in which nobody is inside."""

    running: bool


class Scope:
    """The code that belongs to some owners; without `work` it lasts until it is left."""

    __slots__ = ("outer", "over", "owners", "work")

    def __init__(self, owners: tuple[object, ...], work: Work | None, outer: Scope | None) -> None:
        self.owners = owners
        self.work = work
        self.outer = outer
        self.over = False

    def lasts(self) -> bool:
        """Return whether the code of this scope is still under way."""
        return not self.over and (self.work is None or self.work.running)


current_scope: ContextVar[Scope | None] = ContextVar("mainspring_scope", default=None)
"""The innermost scope that the calling code is in."""


def belong_to(owners: tuple[object, ...], work: Work | None = None) -> None:
    """Make the calling thread or task a part of these owners, and of no others, to its end."""
    current_scope.set(Scope(owners, work, None))


@contextmanager
def inside(*owners: object) -> Iterator[None]:
    """Run a block as a part of these owners."""
    scope = Scope(owners, None, current_scope.get())
    token = current_scope.set(scope)
    try:
        yield
    finally:
        scope.over = True
        current_scope.reset(token)


def is_inside(*owners: object) -> bool:
    """Return whether the calling code is a part of one of these owners."""
    scope = current_scope.get()
    while scope is not None:
        if scope.lasts() and any(one is owner for one in owners for owner in scope.owners):
            return True
        scope = scope.outer
    return False


@contextmanager
def outside() -> Iterator[None]:
    """Start what is no part of the scopes around, since none of them waits for it."""
    token = current_scope.set(None)
    try:
        yield
    finally:
        current_scope.reset(token)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop that runs in this thread, if any."""
    return asyncio._get_running_loop()  # noqa: SLF001  documented, and does not raise


def would_wait_for_itself(
    owners: tuple[object, ...], loops: tuple[asyncio.AbstractEventLoop | None, ...]
) -> bool:
    """Return whether to block here until the owners have ended would keep them from it.

    So it would in code of theirs, and on one of the loops that they need.
    """
    here = running_loop()
    return (here is not None and here in loops) or is_inside(*owners)
