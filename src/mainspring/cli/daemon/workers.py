"""Workers of a module that a supervisor runs, the ended ones included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.background.supervisor.info import describe_worker
from mainspring.background.workers.worker import BackgroundWorker

if TYPE_CHECKING:
    from types import ModuleType

    from mainspring.background.supervisor.front import TaskSupervisor
    from mainspring.background.supervisor.workers import NamedWorker


class SupervisedWorkers:
    """A supervisor's workers: those that a module names, and those that were started elsewhere.

    A worker whose name in the module begins with `_` is left for others to start.
    """

    def __init__(self, supervisor: TaskSupervisor, module: ModuleType) -> None:
        self._supervisor = supervisor
        self._named = [
            value
            for name, value in vars(module).items()
            if isinstance(value, BackgroundWorker)
            and value.supervisor is supervisor
            and not name.startswith("_")
        ]
        self._seen: dict[int, NamedWorker] = {id(one): one for one in self._named}

    @property
    def empty(self) -> bool:
        """True if the module names no worker and the supervisor has nothing else to do."""
        supervisor = self._supervisor
        return not (self._named or supervisor.active or supervisor.get_info()["task_pools"])

    def start(self) -> None:
        """Start the workers that the module names and has not started itself."""
        for worker in dict.fromkeys(self._named):
            worker.start()

    def look(self) -> list[dict[str, Any]]:
        """Return what each is and has done, those that have ended included."""
        for worker in self._supervisor.workers.all():
            self._seen.setdefault(id(worker), worker)
        return [describe_worker(worker) for worker in self._seen.values()]
