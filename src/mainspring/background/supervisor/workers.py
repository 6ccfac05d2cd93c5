"""The workers of a supervisor: the active ones by name, and those that failed for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mainspring.background.registry import OwnedRegistry
from mainspring.supervision.announced import announce

if TYPE_CHECKING:
    import asyncio

    from mainspring.supervision.workers.status import WorkerStatus


class NamedWorker(Protocol):
    """A background worker, as its supervisor sees it."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def event_loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that its target is awaited on, while it is active."""
        ...

    def stop(self, wait: float | bool = True) -> bool:  # noqa: FBT001, FBT002  the pages' signature
        """Stop it; return whether it has ended."""
        ...

    def reset_after_fork(self) -> None:
        """In a forked child: be stopped."""
        ...

    def status(self) -> WorkerStatus:
        """Return what it is doing and has done."""
        ...


class Workers:
    """Keeps the names of active workers unique, and failed ones listed until they are dropped."""

    def __init__(self) -> None:
        self._active: OwnedRegistry[NamedWorker] = OwnedRegistry("worker")
        self._failed: OwnedRegistry[NamedWorker] = OwnedRegistry("worker")
        announce(self)

    def active(self) -> list[NamedWorker]:
        """Return the active ones, in the order of their start."""
        return self._active.all()

    def failed(self) -> list[NamedWorker]:
        """Return those that failed for good and were not started again."""
        return self._failed.all()

    def all(self) -> list[NamedWorker]:
        """Return both."""
        return [*self.active(), *self.failed()]

    def add(self, worker: NamedWorker, name: str, *, derived: bool) -> str:
        """Note that a worker starts, and return its name for this life.

        A derived one that is taken gets a number; for any other that raises `DuplicateName`.
        """
        if derived:
            name = self._active.add_numbered(name, worker)
        else:
            self._active.add(name, worker)
        self._failed.drop(name)
        return name

    def retire(self, worker: NamedWorker, name: str, *, failed: bool = False) -> None:
        """Note that a worker has ended; a failed one stays listed."""
        if self._active.drop(name, worker) and failed:
            self._failed.drop(name)
            self._failed.add(name, worker)

    def drop(self, worker: NamedWorker) -> None:
        """List a worker no more that failed for good."""
        self._failed.drop(worker.name, worker)

    def drop_failed(self) -> None:
        """List none of those any more."""
        self._failed.drop_all()
