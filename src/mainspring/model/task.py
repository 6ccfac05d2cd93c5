"""A task: a function with its options, and the registry that finds it by name."""

from __future__ import annotations

import inspect
import warnings
from functools import partial
from itertools import zip_longest
from types import MethodType
from typing import TYPE_CHECKING, Any, Literal

from msgspec.structs import replace

from mainspring.errors import DuplicateName, InvalidOption, TaskNotImportable
from mainspring.model.backoff import EXPECTED as EXPECTED_BACKOFF
from mainspring.model.backoff import ComputedBackoff, DelayTable, Exponential, Fixed
from mainspring.model.name import is_name
from mainspring.model.options import (
    FLAG,
    NAME,
    POSITIVE_SECONDS,
    SECONDS,
    count,
    instance_of,
    number,
)
from mainspring.model.place import (
    Placed,
    check_importable,
    frame_outside,
    importable_module,
    innermost,
    layers,
    naming_module,
)
from mainspring.model.retry import RetryRules
from mainspring.model.script import NOWHERE
from mainspring.model.unique import Unique
from mainspring.model.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mainspring.model.backoff import RetryBackoff
    from mainspring.model.resource import Resource

ExecutorKind = Literal["async", "thread", "process"]
EXECUTOR_KINDS: tuple[ExecutorKind, ...] = ("async", "thread", "process")
MAX_PRIORITY = 2**31 - 1
LONGEST_TIMEOUT = 1e8
"""Seconds: what every clock and socket of the system can wait for."""

_UNSET = object()

PRIORITY = count(
    least=-MAX_PRIORITY,
    most=MAX_PRIORITY,
    expected="a whole number of at most 31 bits; lower is more urgent",
)
TIMEOUT = number(
    least=0, above=True, most=LONGEST_TIMEOUT, expected="seconds above 0, up to 1e8 (3 years)"
)
CHECKS = {
    "name": NAME,
    "queue": NAME,
    "priority": PRIORITY,
    "retries": count(least=0, expected="a whole number from 0"),
    "timeout": TIMEOUT.or_none("None for no limit"),
    "backoff": instance_of((Exponential, Fixed, DelayTable, ComputedBackoff), EXPECTED_BACKOFF),
    "expires": POSITIVE_SECONDS.or_none(),
    "unique": instance_of(
        Unique, 'a Unique, as in unique=Unique(by="args"); a key goes to using(unique=...)'
    ).or_none(),
    "http": FLAG,
    "keep_result": SECONDS.or_none("None for as long as the queue says"),
}
"""The options of a task, but for those that need its function."""


class Task(Value, Placed, frozen=True):
    """A registered function with its options.

    `retries` is how often it may run again after an error (attempts = 1 + retries), `timeout` the
    seconds one attempt may take (None: as long as it likes), `executor` where it runs. Lower
    `priority` is more urgent. `rules` say which errors are worth another attempt, `keep_result`
    the seconds for which a completed job is kept (None: as the queue says). Its jobs may start
    until `expires` seconds after their enqueuing, and at most one is live at a time for what
    `unique` says. `http`: it may be enqueued over HTTP. `injected`: the parameters that a worker
    fills in, which are none of a job's.
    """

    name: str
    function: Callable[..., Any]
    queue: str = "default"
    priority: int = 0
    retries: int = 3
    timeout: float | None = None
    executor: ExecutorKind = "thread"
    backoff: RetryBackoff = Exponential()
    expires: float | None = None
    unique: Unique | None = None
    http: bool = False
    rules: RetryRules = RetryRules()
    keep_result: float | None = None
    injected: Mapping[str, Resource] = {}

    def __post_init__(self) -> None:
        owner = f"task {self.name!r}" if is_name(self.name) else "a task"
        # Not the defaults: `using` makes a task each time, and whoever enqueues waits for it.
        for option, check in CHECKS.items():
            value = getattr(self, option)
            if option not in _DEFAULTS or value is not _DEFAULTS[option]:
                check(owner, option, value)
        if self.executor == "process":
            _check_importable(owner, self.rules)

    def with_options(self, **options: Any) -> Task:
        """Return the same task with other options, checked like the first."""
        return replace(self, **options)

    @property
    def is_coroutine(self) -> bool:
        """True if its body is awaited, on the loop of a worker or of a child process."""
        return self.executor == "async" or inspect.iscoroutinefunction(self.function)


_DEFAULTS = dict(
    zip(reversed(Task.__struct_fields__), reversed(Task.__struct_defaults__), strict=False)
)


def task_name(function: Callable[..., Any], name: str | None, executor: str | None) -> str:
    """Return `name`, or that of the function's module with its own.

    A function inside another is named as one at the top level. Raises TaskNotImportable for a
    lambda without a name, and for what a child process could not find if it is to run there.
    """
    if name is None:
        own = function.__qualname__.rpartition("<locals>.")[2]
        if own == "<lambda>":
            raise TaskNotImportable(own, "it is a lambda, and has no name", "give it a name=")
        name = f"{naming_module(function)}.{own}"
    if executor == "process":
        check_importable(name, function)
    return name


def executor_of(function: Callable[..., Any], executor: str | None, owner: str) -> ExecutorKind:
    """Decide once where a function runs; without `executor`, `def` in a thread, else on a loop."""
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
    """The tasks of one queue by name. Thread-safe."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self.by_name: Mapping[str, Task] = self._tasks
        """The same, as they are at any moment: for the way of each job."""
        self._rounds: dict[str, int] = {}
        self.round = 0
        """The applications so far whose factory may have defined all of them."""

    def add(self, task: Task) -> None:
        """Register a task; DuplicateName if another function has its name already.

        A function that is defined anew, in a reloaded module, a notebook or the factory of another
        application, replaces the old one.
        """
        known = self._tasks.get(task.name)
        if known is not None:
            again = self._rounds[task.name] < self.round
            _check_redefined(task.name, known.function, task.function, again=again)
        self._tasks[task.name], self._rounds[task.name] = task, self.round

    def __getitem__(self, name: str) -> Task:
        """Return the task of that name; KeyError if there is none."""
        return self._tasks[name]

    def __contains__(self, name: object) -> bool:
        return name in self._tasks

    def __iter__(self) -> Iterator[Task]:
        return iter(tuple(self._tasks.values()))

    def __len__(self) -> int:
        return len(self._tasks)


def _check_importable(owner: str, rules: RetryRules) -> None:
    # A child finds the classes as it finds the function: by import.
    for kind in rules.kinds:
        expected = "classes from the top level of a module: the task runs in a child process"
        if "<" in kind.__qualname__:
            raise InvalidOption("retry_on or give_up_on", kind, owner=owner, expected=expected)


def _check_redefined(
    name: str, old: Callable[..., Any], new: Callable[..., Any], *, again: bool
) -> None:
    first, second = _place(old), _place(new)
    if old is new or _are_equal(old, new) or (again and first == second):
        return
    interactive = importable_module(new) == NOWHERE and not second.endswith("<lambda>")
    differ = first != second or "<" in second or _are_of_two_objects(old, new)
    if first != second or (differ and not interactive):
        raise DuplicateName(name, kind="task", first=_described(old), second=_described(new))
    one, other = _line(old), _line(new)
    if one != other and one.rpartition(":")[0] == other.rpartition(":")[0] and one[:1] != "<":
        text = f"task {name!r} is defined twice: {other} replaces {one}"
        frame = frame_outside()
        warnings.warn_explicit(text, UserWarning, frame.f_code.co_filename, frame.f_lineno)


def _are_of_two_objects(old: Any, new: Any) -> bool:
    """Return True for one function bound to two objects, or to different arguments."""
    for one, other in zip(layers(old), layers(new), strict=False):
        if isinstance(one, MethodType) and isinstance(other, MethodType):
            mine, its = one.__self__, other.__self__
            # Of a class that was defined anew, so are the objects.
            return mine is not its and type(mine) is type(its) and not isinstance(mine, type)
        if isinstance(one, partial) and isinstance(other, partial):
            return (one.args, one.keywords) != (other.args, other.keywords)
    return False


def _are_equal(one: Any, other: Any, seen: frozenset[int] = frozenset()) -> bool:
    """Return True if both come from the same `def` and close over equal variables."""
    one, other = (getattr(getattr(it, "task", None), "function", it) for it in (one, other))
    if one is other or id(one) in seen or _UNSET in (one, other):
        return True
    if isinstance(one, MethodType):
        return bool(one == other)
    if isinstance(one, (int, float, str, bytes)):
        return type(one) is type(other) and bool(one == other)
    if getattr(one, "__code__", None) is None or one.__code__ != getattr(other, "__code__", None):
        return False
    seen |= {id(one)}
    pairs = zip_longest(_held(one), _held(other))
    return all(_are_equal(mine, theirs, seen) for mine, theirs in pairs)


def _held(function: Any) -> list[Any]:
    """Return what a function got when it was defined: of the function around it, and as defaults.

    A variable that is not set yet, as of a function that calls itself, is marked as such.
    """
    values = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    for cell in function.__closure__ or ():
        try:
            values.append(cell.cell_contents)
        except ValueError:
            values.append(_UNSET)
    return values


def _place(function: Callable[..., Any]) -> str:
    return f"{importable_module(function)}.{function.__qualname__}"


def _described(function: Callable[..., Any]) -> str:
    return f"{_place(function)} ({_line(function)})"


def _line(function: Callable[..., Any]) -> str:
    code = getattr(innermost(function), "__code__", None)
    return "" if code is None else f"{code.co_filename}:{code.co_firstlineno}"
