"""The tasks of a supervisor that have not ended, by id; and what follows where one begins late."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from mainspring.background.accepted_arguments import accepted_arguments
from mainspring.background.registry import OwnedRegistry
from mainspring.background.task import BackgroundTask, TaskPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mainspring.background.task import TaskOwner

log = logging.getLogger("mainspring.supervision")


class PendingTasks:
    """Keeps tasks until they have ended."""

    def __init__(self) -> None:
        self._tasks: OwnedRegistry[BackgroundTask[Any]] = OwnedRegistry("task")

    def launch(self, task: BackgroundTask[Any], owner: TaskOwner) -> None:
        """Start a task for its supervisor, and forget it once it has ended."""
        self._tasks.add(task.id, task)
        task.launch(owner)
        task.future.add_done_callback(lambda _: self._tasks.drop(task.id))

    def all(self) -> list[BackgroundTask[Any]]:
        """Return all of them."""
        return self._tasks.all()

    def get(self, task_id: str) -> BackgroundTask[Any] | None:
        """Return a task that has not ended."""
        return self._tasks.get(task_id)

    def cancel_delayed(self) -> None:
        """Cancel the tasks that wait for their delay."""
        for task in self._tasks.all():
            task.cancel_delay()


IGNORED = ("worker", "_send_task_id")
"""Options of `put_task` on the reference pages that have no effect here."""


def task_of(
    target: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    task_id: str | None,
    options: Mapping[str, Any],
) -> BackgroundTask[Any]:
    """Make a task of a function, which gets the task's id if it takes `_task_id`.

    Raises `InvalidOption`, `UnknownOption`.
    """
    plan = TaskPlan.of(target, {one: options[one] for one in options if one not in IGNORED})
    task: BackgroundTask[Any] = BackgroundTask(plan, args, dict(kwargs), task_id=task_id)
    if options.get("_send_task_id", True) and accepted_arguments(target).takes("_task_id"):
        task.kwargs["_task_id"] = task.id
    return task


def log_late(task: BackgroundTask[Any], seconds: float, *, critical: bool) -> None:
    """Log a task that began so many seconds after it was queued."""
    level = logging.CRITICAL if critical else logging.WARNING
    advice = "make the pool larger, or start fewer workers and tasks"
    log.log(level, "task %r began %.3f s after it was queued; %s", task.name, seconds, advice)


def call_late_hook(hook: Callable[[Any], object], task: BackgroundTask[Any]) -> None:
    """Call a function of the user's with a late task; what it raises is logged."""
    try:
        hook(task)
    except Exception:
        log.exception("the function for the late task %r raised", task.name)
