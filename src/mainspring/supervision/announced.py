"""The workers of this process that are not of a queue, for whoever tells views of the process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from weakref import ref

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


# No set: another thread may announce its own while one looks through them.
_announced: list[ref[AnnouncedWorkers]] = []


def announce(workers: AnnouncedWorkers) -> None:
    """Let these be told of, as long as they live."""
    _announced.append(ref(workers, _announced.remove))


def announced() -> list[WorkerStatus]:
    """Return how each worker is; from any thread."""
    living = [workers for one in tuple(_announced) if (workers := one()) is not None]
    return [one.status() for workers in living for one in workers.all()]
