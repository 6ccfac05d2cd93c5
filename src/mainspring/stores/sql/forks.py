"""The steps that every open store takes when this process forks."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Suspendable(Protocol):
    """Open connections and files."""

    def suspend(self) -> None:
        """Close what must not cross a fork, and let nothing open it."""
        ...

    def resume(self) -> None:
        """End a suspension, also one that was not complete."""
        ...


class Forkable(Protocol):
    """A store, as far as a fork concerns it."""

    @property
    def session(self) -> Suspendable:
        """All that is open, which must not cross a fork."""
        ...

    def begin_anew(self) -> None:
        """Forget what was open, in a forked child."""
        ...


_stores: weakref.WeakSet[Forkable] = weakref.WeakSet()
_suspended: list[Suspendable] = []


def watch(store: Forkable) -> None:
    """See to a store at each fork, for as long as it is used."""
    _stores.add(store)


def _before_fork() -> None:
    """Close what must not cross a fork."""
    try:
        _suspend()
    except BaseException:  # of a signal handler: the process forks all the same
        _suspend()
        raise


def _suspend() -> None:
    for store in list(_stores):
        # Noted first: an exception in the midst of it must not keep it closed for ever.
        _suspended.append(store.session)
        store.session.suspend()


def _after_fork() -> None:
    """Let both sides open again."""
    try:
        _resume()
    except BaseException:  # of a signal handler: other threads wait, and nobody else does it
        _resume()
        raise


def _resume() -> None:
    while _suspended:
        _suspended[-1].resume()
        _suspended.pop()


def _after_fork_in_child() -> None:
    """Begin anew in the child, where the threads of the old session are gone."""
    _after_fork()
    for store in list(_stores):
        store.begin_anew()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
)
