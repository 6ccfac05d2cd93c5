"""Tasks by name: for a program that enqueues their jobs and does not import their code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mainspring.errors import InvalidArguments, InvalidOption
from mainspring.model.name import EXPECTED, is_name
from mainspring.model.task import Task
from mainspring.queue.queue_task import Call, QueueTask

if TYPE_CHECKING:
    from mainspring.queue.binding import Binding
    from mainspring.queue.options import UsingOptions

OWNER = "Queue.enqueue()"

WRITTEN = 'give args as a tuple or list, and kwargs as a dict: queue.enqueue("app.add", (2, 3))'


def call_by_name(
    binding: Binding, name: object, args: object, kwargs: object, options: UsingOptions
) -> Call[Any]:
    """Return the call of a task, ready to be enqueued; raises InvalidOption, InvalidArguments."""
    task = task_named(binding, name, OWNER)
    named = {} if kwargs is None else kwargs
    if not (isinstance(args, (tuple, list)) and isinstance(named, Mapping)):
        raise InvalidArguments(f"{OWNER}: {WRITTEN}")
    given: dict[str, Any] = {**options}
    return task.using(**given).call(*args, **named)


def task_named(binding: Binding, name: object, owner: str) -> QueueTask[..., Any, Any]:
    """Return a task by its name, one that only other programs know included.

    Raises InvalidOption.
    """
    if isinstance(name, QueueTask):
        why, remedy = "is a task, and not its name", "write task.delay(...), or task.using(...)"
        raise InvalidOption("task", name, owner=owner, why=why, remedy=remedy)
    if not (isinstance(name, str) and is_name(name)):
        raise InvalidOption("task", name, owner=owner, expected=f"the name of a task: {EXPECTED}")
    task = binding.tasks[name] if name in binding.tasks else Task(name, elsewhere)
    return QueueTask[..., Any, Any](task, binding)


def elsewhere(*_args: Any, **_kwargs: Any) -> Any:
    """Stand for a function that another program has: it is never called here."""
    raise NotImplementedError
