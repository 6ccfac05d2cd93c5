"""The tasks of a supervisor that have not ended, by id."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

from mainspring.supervision.forked import forget_in_child

if TYPE_CHECKING:
    from concurrent.futures import Future


class LaunchableTask(Protocol):
    """What a supervisor needs of a task; see `mainspring.background.tasks.task`."""

    id: str
    future: Future[Any]

    def launch(self, supervisor: Any) -> None:
        """Start it, after its delay."""
        ...

    def cancel_delay(self) -> None:
        """Cancel it if it has not been queued yet."""
        ...


class Launches:
    """Keeps tasks until they have ended."""

    def __init__(self) -> None:
        self._tasks: dict[str, LaunchableTask] = {}
        self._lock = threading.RLock()
        forget_in_child(self)

    def forget_life(self) -> None:
        """In a forked child: the tasks are the parent's."""
        self._tasks, self._lock = {}, threading.RLock()

    def launch(self, task: LaunchableTask, supervisor: object) -> None:
        """Start a task for its supervisor, and forget it once it has ended."""
        with self._lock:
            self._tasks[task.id] = task
        task.launch(supervisor)
        task.future.add_done_callback(lambda _: self._forget(task.id))

    def get(self, task_id: str) -> LaunchableTask | None:
        """Return a task that has not ended."""
        return self._tasks.get(task_id)

    def cancel_delayed(self) -> None:
        """Cancel the tasks that wait for their delay."""
        with self._lock:
            tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel_delay()

    def _forget(self, task_id: str) -> None:
        with self._lock:
            self._tasks.pop(task_id, None)
