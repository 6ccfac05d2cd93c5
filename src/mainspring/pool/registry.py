"""Registration of functions under a name: `@task` and `register_task`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from mainspring.model.options import Check
from mainspring.pool.awaitable_list import AwaitableList
from mainspring.pool.body import check_function, forget
from mainspring.pool.task_types import TaskType, types

F = TypeVar("F", bound=Callable[..., Any])

_NAME = Check(lambda name: isinstance(name, str) and bool(name), 'a name: write @task("name")')

log = logging.getLogger("mainspring.pool")


def task(task_type: str, *, http: bool = True) -> Callable[[F], F]:
    """Register the function that follows under a name; it stays what it was.

    `http=False` keeps it from being started over HTTP. Raises as `register_task` does.
    """
    _NAME("@task", "task_type", task_type)

    def register(function: F) -> F:
        register_task(task_type, function, http=http)
        return function

    return register


def register_task(task_type: str, task_func: Callable[..., Any], *, http: bool = True) -> None:
    """Register a function under a name; a later one takes its place, and the log says so.

    Raises InvalidOption for a name that is no text, TypeError for what can't be called, or has a
    `yield`.
    """
    _NAME("@task", "task_type", task_type)
    if not callable(task_func):
        raise TypeError(f"task type {task_type!r} needs a function, not {task_func!r}")
    check_function(task_func)
    before = types.add(TaskType(task_type, task_func, http))
    forget(task_func)
    if before is not None and before.function is not task_func:
        log.warning("task type %r is registered again: %r replaces the first", task_type, task_func)
        forget(before.function)


def get_task_function(task_type: str) -> Callable[..., Any] | None:
    """Return the function of that name, None if there is none."""
    found = types.get(task_type)
    return None if found is None else found.function


def get_all_task_types() -> AwaitableList[str]:
    """Return every registered name, in the order of registration."""
    return AwaitableList(one.name for one in types)
