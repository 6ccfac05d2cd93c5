"""The active workers of a supervisor, by name."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Protocol

from mainspring.errors import DuplicateName
from mainspring.supervision.forked import forget_in_child

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from mainspring.supervision.workers.worker import WorkerStatus

log = logging.getLogger("mainspring.supervision")


class NamedWorker(Protocol):
    """What a supervisor needs of a background worker."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    def stop(self, wait: float | bool = True) -> bool:  # noqa: FBT001, FBT002  the pages' signature
        """Stop it; return whether it has ended."""
        ...

    def forget_life(self) -> None:
        """In a forked child: be stopped."""
        ...

    def runs_on(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether its target is awaited on this loop."""
        ...

    def runs_here(self) -> bool:
        """Whether its target is what the calling thread or task runs."""
        ...

    def status(self) -> WorkerStatus:
        """Return what it is doing and has done."""
        ...


class WorkerRoster:
    """Keeps names unique, and tells of workers that ended by their restart policy."""

    def __init__(self, told: Callable[[NamedWorker, BaseException], object]) -> None:
        self._workers: dict[str, NamedWorker] = {}
        self._names: dict[int, str] = {}  # by the worker's id(): a thousand may end at once
        self._departing: set[int] = set()  # the threads of farewells
        self._told = told
        self._lock = threading.RLock()
        forget_in_child(self)

    def forget_life(self) -> None:
        """In a forked child: the workers that are active are so in the parent."""
        self._lock = threading.RLock()
        workers, self._workers, self._names = self._workers, {}, {}
        self._departing = set()
        for worker in workers.values():
            worker.forget_life()

    def all(self) -> list[NamedWorker]:
        """Return the active workers, in the order of their start."""
        with self._lock:
            return list(self._workers.values())

    def remember(self, worker: NamedWorker, name: str, *, derived: bool = False) -> str:
        """Take notice of a worker that starts, and return its name for this life.

        A derived one that is taken gets a number; for any other that raises `DuplicateName`.
        """
        with self._lock:
            if derived:
                name = self._free(name, worker)
            other = self._workers.get(name)
            if other is not None and other is not worker:
                raise DuplicateName(name, kind="worker", first=repr(other), second=repr(worker))
            self._workers[name] = worker
            self._names[id(worker)] = name
        return name

    def forget(self, worker: NamedWorker) -> None:
        """Take notice of a worker that has ended."""
        with self._lock:
            name = self._names.pop(id(worker), None)
            if name is not None:
                del self._workers[name]

    def _free(self, name: str, worker: NamedWorker) -> str:
        numbered, number = name, 2
        while self._workers.get(numbered, worker) is not worker:
            numbered, number = f"{name}#{number}", number + 1
        return numbered

    def enter(self) -> None:
        """Take notice that the calling thread is in the farewell of a worker."""
        self._departing.add(threading.get_ident())

    def leave(self) -> None:
        """Take notice that it no longer is."""
        self._departing.discard(threading.get_ident())

    def runs_here(self) -> bool:
        """Whether the calling thread is in a worker's target or in its farewell."""
        if threading.get_ident() in self._departing:
            return True
        return any(worker.runs_here() for worker in self.all())

    def tell(self, worker: NamedWorker, failure: BaseException) -> None:
        """Tell of a worker that gave up, and why."""
        try:
            self._told(worker, failure)
        except Exception:
            log.exception("on_worker_failed raised for %r", worker)
