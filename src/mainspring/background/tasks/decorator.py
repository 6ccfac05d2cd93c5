"""`background_task`: a function becomes one that starts tasks."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from mainspring.background.supervisor.front import TaskSupervisor, task_supervisor
from mainspring.background.task import BackgroundTask, TaskPlan
from mainspring.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


P = ParamSpec("P")
R = TypeVar("R")


class BackgroundTaskDecorator(Protocol):
    """Makes a function start tasks."""

    @overload
    def __call__(
        self, func: Callable[P, Coroutine[Any, Any, R]], /
    ) -> Callable[P, BackgroundTask[R]]: ...
    @overload
    def __call__(self, func: Callable[P, R], /) -> Callable[P, BackgroundTask[R]]: ...
    def __call__(self, func: Any, /) -> Any:
        """Return what starts a task with its arguments."""
        ...


@overload
def background_task(
    func: Callable[P, Coroutine[Any, Any, R]], /, **options: Any
) -> Callable[P, BackgroundTask[R]]: ...
@overload
def background_task(func: Callable[P, R], /, **options: Any) -> Callable[P, BackgroundTask[R]]: ...
@overload
def background_task(func: None = None, /, **options: Any) -> BackgroundTaskDecorator: ...


def background_task(
    func: Callable[..., Any] | None = None,
    /,
    *,
    supervisor: TaskSupervisor | None = None,
    **options: Any,
) -> Any:
    """Return a function that starts a task with its arguments, and returns the `BackgroundTask`.

    Options: `priority`; `delay` in seconds; `tt`, which is `"thread"`, `"process"` or
    `"coroutine"` (an async function's own); `loop`, the name of an aloop; `callback`, which gets
    the result. Raises `InvalidOption`, `UnknownOption`.
    """
    if func is None:
        return functools.partial(background_task, supervisor=supervisor, **options)
    if not (supervisor is None or isinstance(supervisor, TaskSupervisor)):
        owner, expected = "background_task", "a TaskSupervisor"
        raise InvalidOption("supervisor", supervisor, owner=owner, expected=expected)
    plan = TaskPlan.of(func, options)

    @functools.wraps(func)
    def start(*args: Any, **kwargs: Any) -> BackgroundTask[Any]:
        return (supervisor or task_supervisor).put_task(BackgroundTask(plan, args, kwargs))

    return start
