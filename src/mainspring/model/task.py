"""A task: a function with its options, and the registry that finds it by name."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mainspring.errors import DuplicateName, InvalidOption, TaskNotImportable
from mainspring.model.name import EXPECTED, is_name
from mainspring.model.number import is_number, is_whole
from mainspring.model.retry import Exponential, RetryRules
from mainspring.model.unique import Unique

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ExecutorKind = Literal["async", "thread", "process"]
EXECUTOR_KINDS: tuple[ExecutorKind, ...] = ("async", "thread", "process")
MAX_PRIORITY = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Task:
    """A registered function with its options.

    `retries` is how often it may run again after an error (attempts = 1 + retries), `timeout` the
    seconds one attempt may take (None: as long as it likes), `executor` where it runs. Lower
    `priority` is more urgent. `rules` say which errors are worth another attempt, `keep_result`
    the seconds for which a completed job is kept (None: as the queue says). Its jobs may start
    until `expires` seconds after their enqueuing, and at most one is live at a time for what
    `unique` says. `http`: it may be enqueued over HTTP.
    """

    name: str
    function: Callable[..., Any] = field(repr=False)
    queue: str = "default"
    priority: int = 0
    retries: int = 3
    timeout: float | None = None
    executor: ExecutorKind = "thread"
    backoff: Exponential = field(default_factory=Exponential)
    expires: float | None = None
    unique: Unique | None = None
    http: bool = False
    rules: RetryRules = field(default_factory=RetryRules)
    keep_result: float | None = None

    def __post_init__(self) -> None:
        owner = f"task {self.name!r}" if is_name(self.name) else "a task"
        _check(owner, "name", self.name, is_name(self.name), EXPECTED)
        _check(owner, "queue", self.queue, is_name(self.queue), EXPECTED)
        check_priority(owner, self.priority)
        _check(owner, "retries", self.retries, _is_count(self.retries), "a whole number from 0")
        _check(owner, "timeout", self.timeout, _is_timeout(self.timeout), "seconds > 0, or None")
        _check(owner, "expires", self.expires, _is_timeout(self.expires), "seconds > 0, or None")
        unique = self.unique
        by = 'a Unique, as in unique=Unique(by="args"); a key goes to using(unique=...)'
        _check(owner, "unique", unique, unique is None or isinstance(unique, Unique), by)
        _check(owner, "http", self.http, isinstance(self.http, bool), "True or False")
        if self.executor == "process":
            _check_importable(owner, self.rules)

    def with_options(self, **options: Any) -> Task:
        """Return the same task with other options, checked like the first."""
        return replace(self, **options)

    @property
    def module(self) -> str:
        """The module under which another process can import the function."""
        return importable_module(self.function)

    @property
    def qualname(self) -> str:
        """The function's name within its module."""
        return self.function.__qualname__


def check_priority(owner: str, priority: object) -> None:
    """Raise InvalidOption unless `priority` is a whole number that every store can hold."""
    _check(
        owner,
        "priority",
        priority,
        is_whole(priority) and abs(priority) <= MAX_PRIORITY,
        "a whole number of at most 31 bits; lower is more urgent",
    )


def importable_module(function: Callable[..., Any]) -> str:
    """Return the name under which the function's module can be imported elsewhere.

    For a function of a running script that is the script's own file name, so that
    `python app.py` and `--app app:queue` agree on the names of tasks.
    """
    if function.__module__ != "__main__":
        return function.__module__
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name)
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else "__main__"


def task_name(function: Callable[..., Any], name: str | None, executor: str | None) -> str:
    """Return `name`, or the function's importable name.

    Raises TaskNotImportable for a function that has none, and in any case for one that is to run
    in a child process, which finds it by import.
    """
    qualname = function.__qualname__
    if (name is None or executor == "process") and "<" in qualname:
        nested = "a lambda" if qualname.endswith("<lambda>") else "it is defined inside a function"
        hint = "" if executor == "process" else ", or give it a name="
        raise TaskNotImportable(name or qualname, nested + hint)
    return f"{importable_module(function)}.{qualname}" if name is None else name


def executor_of(function: Callable[..., Any], executor: str | None, owner: str) -> ExecutorKind:
    """Decide once where a function runs: `async def` on a loop, `def` in a thread, if not told."""
    is_async = inspect.iscoroutinefunction(function)
    natural: ExecutorKind = "async" if is_async else "thread"
    if executor is None or executor == natural:
        return natural
    if executor == "process":
        return "process"
    kind = "async def" if is_async else "def"
    remedy = f"leave it out, since {kind} runs {natural}, or give 'process'"
    raise InvalidOption("executor", executor, owner=owner, remedy=remedy)


class Registry:
    """The tasks of one queue by name."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}

    def add(self, task: Task) -> None:
        """Register a task; DuplicateName if another function has its name already."""
        known = self._tasks.get(task.name)
        if known is not None and not _same_place(known.function, task.function):
            raise DuplicateName(
                task.name, kind="task", first=_place(known.function), second=_place(task.function)
            )
        self._tasks[task.name] = task

    def __getitem__(self, name: str) -> Task:
        """Return the task of that name; KeyError if there is none."""
        return self._tasks[name]

    def __contains__(self, name: object) -> bool:
        return name in self._tasks

    def __iter__(self) -> Iterator[Task]:
        return iter(tuple(self._tasks.values()))

    def __len__(self) -> int:
        return len(self._tasks)


def _check(owner: str, option: str, value: object, holds: object, expected: str) -> None:
    if not holds:
        raise InvalidOption(option, value, owner=owner, expected=expected)


def _check_importable(owner: str, rules: RetryRules) -> None:
    # A child finds the classes as it finds the function: by import.
    for kind in rules.kinds:
        expected = "classes from the top level of a module: the task runs in a child process"
        _check(owner, "retry_on or give_up_on", kind, "<" not in kind.__qualname__, expected)


def _is_count(value: object) -> bool:
    return is_whole(value) and value >= 0


def _is_timeout(value: object) -> bool:
    return value is None or (is_number(value) and value > 0)


def _place(function: Callable[..., Any]) -> str:
    return f"{importable_module(function)}.{function.__qualname__}"


def _same_place(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Whether both are the same function, perhaps of a module that was reloaded."""
    return one is other or (_place(one) == _place(other) and "<" not in one.__qualname__)
