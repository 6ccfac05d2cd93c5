"""The tasks of a supervisor that have not ended, by id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from mainspring.background.registry import OwnedRegistry

if TYPE_CHECKING:
    from concurrent.futures import Future


class LaunchableTask(Protocol):
    """A task, as its supervisor sees it; see `mainspring.background.tasks.task`."""

    id: str
    future: Future[Any]

    def launch(self, supervisor: Any) -> None:
        """Start it, after its delay."""
        ...

    def cancel_delay(self) -> None:
        """Cancel it if it has not been queued yet."""
        ...


class PendingTasks:
    """Keeps tasks until they have ended."""

    def __init__(self) -> None:
        self._tasks: OwnedRegistry[LaunchableTask] = OwnedRegistry("task")

    def launch(self, task: LaunchableTask, supervisor: object) -> None:
        """Start a task for its supervisor, and forget it once it has ended."""
        self._tasks.add(task.id, task)
        task.launch(supervisor)
        task.future.add_done_callback(lambda _: self._tasks.drop(task.id))

    def get(self, task_id: str) -> LaunchableTask | None:
        """Return a task that has not ended."""
        return self._tasks.get(task_id)

    def cancel_delayed(self) -> None:
        """Cancel the tasks that wait for their delay."""
        for task in self._tasks.all():
            task.cancel_delay()
