"""All queues of this process, those that are there and those to come: for instrumentation."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.queue.setup import QueueSetup

    Begin = Callable[[QueueSetup], Callable[[], None]]

_queues: WeakSet[QueueSetup] = WeakSet()
_begins: list[Begin] = []
_undone: dict[Begin, WeakKeyDictionary[QueueSetup, Callable[[], None]]] = {}
"""The ends of what was begun, of queues that are still there: a program may make many."""


def on_every_queue(begin: Begin) -> Callable[[], None]:
    """Call `begin` with each queue; return a function that calls all that it returned."""
    _begins.append(begin)
    _undone[begin] = WeakKeyDictionary({queue: begin(queue) for queue in tuple(_queues)})

    def undo() -> None:
        _begins.remove(begin)
        for one in list(_undone.pop(begin).values()):
            one()

    return undo


def add_queue(queue: QueueSetup) -> None:
    """Note a queue that is new."""
    _queues.add(queue)
    for begin in tuple(_begins):
        _undone[begin][queue] = begin(queue)
