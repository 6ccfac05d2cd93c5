"""The state that a forked child drops: it has none of the threads and loops of its parent."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class ForkAware(Protocol):
    """An object with threads or loops, or with something that lives on them."""

    def reset_after_fork(self) -> None:
        """Be as if never started; take no lock, for one that was held at the fork stays held."""
        ...


_fork_aware: WeakSet[ForkAware] = WeakSet()


def reset_in_child(one: ForkAware) -> None:
    """Have its `reset_after_fork` called in every child that is forked."""
    _fork_aware.add(one)


def _reset_all() -> None:
    for one in tuple(_fork_aware):
        one.reset_after_fork()


os.register_at_fork(after_in_child=_reset_all)
