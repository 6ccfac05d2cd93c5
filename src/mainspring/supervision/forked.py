"""The state that a forked child drops: it has none of the threads and loops of its parent."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forgetful(Protocol):
    """An object with threads or loops, or with something that lives on them."""

    def forget_life(self) -> None:
        """Be as if never started; take no lock, for one that was held at the fork stays held."""
        ...


_forgetful: WeakSet[Forgetful] = WeakSet()


def forget_in_child(one: Forgetful) -> None:
    """Have its `forget_life` called in every child that is forked."""
    _forgetful.add(one)


def _forget_all() -> None:
    for one in tuple(_forgetful):
        one.forget_life()


os.register_at_fork(after_in_child=_forget_all)
