"""The workers of this process that are not of a queue, for whoever tells views of the process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mainspring.supervision.workers.status import WorkerStatus


class HasStatus(Protocol):
    """A worker that says how it is."""

    def status(self) -> WorkerStatus:
        """Return what it is doing and has done."""
        ...


class AnnouncedWorkers(Protocol):
    """Workers of one owner, as many as there are just now."""

    def all(self) -> Iterable[HasStatus]:
        """Return them."""
        ...


_announced: WeakSet[AnnouncedWorkers] = WeakSet()


def announce(workers: AnnouncedWorkers) -> None:
    """Let these be told of, as long as they live."""
    _announced.add(workers)


def announced() -> list[WorkerStatus]:
    """Return how each worker is; from any thread."""
    return [one.status() for workers in tuple(_announced) for one in workers.all()]
