"""Collections of functions that are run together, by priority."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from mainspring.background.accepted_arguments import accepted_arguments
from mainspring.background.supervisor.front import TaskSupervisor, task_supervisor
from mainspring.background.task import BackgroundTask, TaskPlan
from mainspring.errors import InvalidOption
from mainspring.model.signature import is_generator
from mainspring.model.user_frames import exc_info_of
from mainspring.supervision.threads.priority import TASK_NORMAL, check_priority
from mainspring.supervision.workers.worker import is_async

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

F = TypeVar("F", bound="Callable[..., Any]")

log = logging.getLogger("mainspring.supervision")


@dataclass(frozen=True, slots=True)
class Entry:
    """A function of a collection."""

    function: Callable[[], Any]
    priority: int

    @property
    def name(self) -> str:
        """Its module and name."""
        name = getattr(self.function, "__qualname__", repr(self.function))
        return f"{getattr(self.function, '__module__', '')}.{name}"


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one function, or its error."""

    result: Any = None
    error: BaseException | None = None


class FunctionCollection:
    """Functions that `run` calls one after the other, the lower priority number first.

    One that raises does not stop the others: `on_error` is called with `on_error_kwargs`, and
    `error` and `function` if it declares them; without it the error is logged.
    `include_exceptions` puts the errors among the results.
    """

    default_priority: ClassVar[int] = TASK_NORMAL
    awaits: ClassVar[bool] = False
    """True if it takes async functions."""

    def __init__(
        self,
        *,
        on_error: Callable[..., object] | None = None,
        on_error_kwargs: Mapping[str, Any] | None = None,
        include_exceptions: bool = False,
    ) -> None:
        if on_error is not None and (not callable(on_error) or is_async(on_error)):
            expected = "a plain function: nobody would await it"
            raise InvalidOption("on_error", on_error, owner=type(self).__name__, expected=expected)
        self.on_error = on_error
        self.on_error_kwargs = dict(on_error_kwargs or {})
        self.include_exceptions = include_exceptions
        self._entries: list[Entry] = []

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __call__(self, function: F, /) -> F: ...
    @overload
    def __call__(self, /, *, priority: int) -> Callable[[F], F]: ...
    @overload
    def __call__(self, function: None = None, /) -> dict[str, Any]: ...

    def __call__(self, function: Any = None, /, *, priority: int | None = None) -> Any:
        """Add a function, as a decorator, bare or with a priority; without either, `run`."""
        if function is not None:
            return self.append(function)
        if priority is not None:
            return lambda one: self.append(one, priority=priority)
        return self.run()

    def append(self, function: F, *, priority: int | None = None) -> F:
        """Add a function and return it; a lower number runs earlier, 0 included.

        Raises `InvalidOption`, also for one that `run` could not run.
        """
        owner = type(self).__name__
        if not callable(function) or is_generator(function):
            expected = "a function without a yield"
            raise InvalidOption("function", function, owner=owner, expected=expected)
        if is_async(function) and not self.awaits:
            remedy = "put it into a TaskCollection"
            why = "is async, and here nobody awaits it"
            raise InvalidOption("function", function, owner=owner, why=why, remedy=remedy)
        urgency = self.default_priority if priority is None else priority
        check_priority(owner, urgency)
        self._entries.append(Entry(function, urgency))
        return function

    def remove(self, function: Callable[..., Any]) -> None:
        """Remove a function; harmless if it is not in."""
        self._entries = [one for one in self._entries if one.function != function]

    def run(self) -> dict[str, Any]:
        """Call the functions; return the results by module and name.

        The second function of one name is `name#2`, and so on.
        """
        return self.execute()[0]

    def execute(self) -> tuple[dict[str, Any], bool]:
        """Call the functions; return the results and whether none raised."""
        entries = sorted(self._entries, key=lambda one: one.priority)
        answers = self.answers(entries)
        results: dict[str, Any] = {}
        names: set[str] = set()  # of those that raised, too
        for entry, answer in zip(entries, answers, strict=True):
            name = _free_name(entry.name, names)
            names.add(name)
            for value in self.shown(answer):
                results[name] = value
        return results, all(answer.error is None for answer in answers)

    def shown(self, answer: Answer) -> tuple[Any, ...]:
        """Return what stands for an answer among the results, if anything does."""
        if answer.error is None:
            return (answer.result,)
        return (answer.error,) if self.include_exceptions else ()

    def answers(self, entries: list[Entry]) -> list[Answer]:
        """Call the functions in order and return what became of each."""
        return [self._call(entry) for entry in entries]

    def _call(self, entry: Entry) -> Answer:
        try:
            return Answer(entry.function())
        except Exception as error:  # noqa: BLE001  told to on_error, or logged
            self.report_error(entry, error)
            return Answer(error=error)

    def report_error(self, entry: Entry, error: BaseException) -> None:
        """Pass an error to `on_error`, or log it."""
        if self.on_error is None:
            log.error("%s of a collection raised", entry.name, exc_info=exc_info_of(error))
            return
        takes = accepted_arguments(self.on_error)
        also = {"error": error, "function": entry.function}
        given = {name: value for name, value in also.items() if takes.takes(name)}
        try:
            self.on_error(**{**given, **self.on_error_kwargs})
        except Exception as another:
            text = "on_error of a collection raised for %s"
            log.exception(text, entry.name, exc_info=exc_info_of(another))


class TaskCollection(FunctionCollection):
    """Functions that `run` starts together, in the thread pool or on a loop, and waits for.

    `poll_delay` is accepted and has no effect: nothing polls.
    """

    awaits: ClassVar[bool] = True

    def __init__(
        self,
        *,
        supervisor: TaskSupervisor | None = None,
        poll_delay: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.poll_delay = poll_delay
        self._supervisor = supervisor or task_supervisor

    def answers(self, entries: list[Entry]) -> list[Answer]:
        """Start the functions, the most urgent first, and wait for all of them."""
        tasks = [self._supervisor.put_task(_task_of(entry)) for entry in entries]
        return [self._answer(entry, task) for entry, task in zip(entries, tasks, strict=True)]

    def _answer(self, entry: Entry, task: BackgroundTask[Any]) -> Answer:
        try:
            return Answer(task.future.result())
        except BaseException as error:
            if not task.future.done():
                raise
            self.report_error(entry, error)
            return Answer(error=error)


def _task_of(entry: Entry) -> BackgroundTask[Any]:
    return BackgroundTask(TaskPlan.of(entry.function, {"priority": entry.priority}), (), {})


def _free_name(name: str, taken: set[str]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}#{number}", number + 1
    return free
