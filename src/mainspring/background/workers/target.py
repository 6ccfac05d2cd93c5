"""A worker's target, and a call of it with what it declares; it knows no worker and no trigger."""

from __future__ import annotations

import functools
import inspect
import pickle
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mainspring.background.accepted_arguments import accepted_arguments
from mainspring.errors import TaskNotImportable
from mainspring.supervision.workers.worker import is_async

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mainspring.background.accepted_arguments import AcceptedArguments
    from mainspring.background.workers.options import StartArguments


@dataclass(frozen=True, slots=True)
class Target:
    """A function with the arguments it is called with besides those of the trigger.

    `own` are the names that a worker offers; the function gets those it declares, and what `start`
    was given wins over them.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    own: Mapping[str, Any]
    takes: AcceptedArguments
    alone: bool = False
    """It is a `loop` of the worker's own, which runs once and is given nothing by a trigger."""

    def bind(self) -> Callable[..., Any]:
        """Return a function of the trigger's arguments alone, for this process."""
        kwargs = self._kwargs()
        if self.takes.takes("_task_id") and "_task_id" not in kwargs:
            return self._bind_with_thread(kwargs)
        if self.args:
            return self._bind_behind(kwargs)
        return partial(self.function, **kwargs) if kwargs else self.function

    def for_process(self) -> tuple[dict[str, Any], bool]:
        """Return the keyword arguments for another process, and whether it takes a `_task_id`."""
        kwargs = self._kwargs()
        kwargs.pop("_worker", None)
        return kwargs, self.takes.takes("_task_id")

    def _kwargs(self) -> dict[str, Any]:
        taken = self.own if self.takes.any_keyword else self.takes.names
        own = self.own
        return {**{name: own[name] for name in own if name in taken}, **self.kwargs}

    def _bind_with_thread(self, kwargs: dict[str, Any]) -> Callable[..., Any]:
        function, args = self.function, self.args

        def call(*lead: Any) -> Any:
            thread = threading.current_thread().name
            return function(*lead, *args, _task_id=thread, **kwargs)

        return call

    def _bind_behind(self, kwargs: dict[str, Any]) -> Callable[..., Any]:
        function, args = self.function, self.args

        def call(*lead: Any) -> Any:
            return function(*lead, *args, **kwargs)

        return call


def once(loop: Callable[..., Any], start: StartArguments) -> Callable[[], Any]:
    """Return what runs a worker's own `loop` with the arguments it declares, then ends it."""
    takes = accepted_arguments(loop)
    args = start.args if takes.any_positional else start.args[: takes.positional]
    kwargs = {name: one for name, one in start.kwargs.items() if takes.takes(name)}

    def run() -> bool:
        loop(*args, **kwargs)
        return False

    async def run_later() -> bool:
        await loop(*args, **kwargs)
        return False

    return run_later if is_async(loop) else run


def has_static_run(kind: type) -> bool:
    """Return whether a class has its target as a static method, which another process can call."""
    return isinstance(inspect.getattr_static(kind, "run", None), staticmethod)


def importable(worker: object, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a target in the form in which a child process can import it.

    Raises `TaskNotImportable`.
    """
    decorated = "__wrapped__" in vars(worker)
    try:
        pickle.dumps(function)
    except Exception as error:  # noqa: BLE001  a user's __reduce__ may raise anything
        why = str(error)
    else:
        return function
    if decorated:
        with suppress(Exception):
            pickle.dumps(worker)
            return PickledByName(worker)
    raise TaskNotImportable(getattr(function, "__qualname__", repr(function)), why)


class PickledByName:
    """The target of a decorated function for a child process: its worker pickles by name.

    It passes for the function, so that errors name that and its arguments.
    """

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        functools.update_wrapper(self, worker.run)
        self.__code__ = getattr(worker.run, "__code__", None)

    def __reduce__(self) -> tuple[Any, ...]:
        return PickledByName, (self._worker,)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        return self._worker.run(*args, **kwargs)
