"""The options of a background worker, checked when it is made, and those of a start."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from mainspring.background.aloop import ALoop
from mainspring.background.supervisor.front import TaskSupervisor
from mainspring.errors import InvalidOption, UnknownOption
from mainspring.model.foreign_names import our_option
from mainspring.model.number import is_number, is_whole
from mainspring.model.signature import is_generator
from mainspring.supervision.restart import Restart
from mainspring.supervision.threads.priority import TASK_NORMAL

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from mainspring.protocols import LockSource

ALIASES = ("fn", "executor_func")
"""Names of `func` on the reference pages."""


DAEMON = "daemon"
"""An option that atasker takes, and that does nothing there either."""

log = logging.getLogger("mainspring.supervision")

EXECUTORS = (None, "thread", "process")


class CommonOptions(TypedDict, total=False):
    """The options that every kind of worker takes; see `Options`."""

    name: str | None
    priority: int
    o: Any
    on_error: Callable[..., object] | None
    on_error_kwargs: Mapping[str, Any] | None
    supervisor: TaskSupervisor | None
    poll_delay: float | None
    loop: ALoop | asyncio.AbstractEventLoop | str | None
    executor: Literal["thread", "process"] | None
    pool: Executor | None
    restart: Restart | None
    singleton: LockSource | None


@dataclass(frozen=True, slots=True)
class Options:
    """The options that every kind of worker takes; see `BackgroundWorker`."""

    name: str
    priority: int = TASK_NORMAL
    o: Any = None
    on_error: Callable[..., object] | None = None
    on_error_kwargs: Mapping[str, Any] = field(default_factory=dict)
    supervisor: TaskSupervisor | None = None
    poll_delay: float | None = None
    loop: ALoop | asyncio.AbstractEventLoop | str | None = None
    executor: Literal["thread", "process"] | None = None
    pool: Executor | None = None
    restart: Restart | None = None
    singleton: LockSource | None = None
    derived: bool = False
    """True if the name is the function's, and gives way to one that was given."""
    anonymous: bool = False
    """True if the name was made up."""

    @classmethod
    def of(
        cls, name: str | None, given: dict[str, Any], *, derived: str | None, also: tuple[str, ...]
    ) -> Options:
        """Check and keep what was given; `also` names what the kind takes besides.

        `derived` is the name of one that was given none. Raises `UnknownOption`, `InvalidOption`.
        """
        owner = f"worker {name or derived!r}"
        if given.get(DAEMON):
            log.warning("daemon of %s has no effect: no worker keeps a process from its end", owner)
        given = {option: value for option, value in given.items() if option != DAEMON}
        for option in given:
            if option not in COMMON:
                known = (*also, *TARGETED, *COMMON)
                ours = our_option(option, known)
                raise UnknownOption(option, owner=owner, known=known, ours=ours)
        given = {option: value for option, value in given.items() if value is not None}
        own = name or derived or str(uuid.uuid4())
        named = bool(name or derived)
        options = cls(name=own, derived=named and not name, anonymous=not named, **given)
        options.check(owner)
        return options

    def check(self, owner: str) -> None:
        """Raise `InvalidOption` for a value that makes no sense."""
        for option, (sensible, expected) in CHECKS.items():
            value = getattr(self, option)
            if value is not None and not sensible(value):
                raise InvalidOption(option, value, owner=owner, expected=expected)
        if self.singleton is not None and (self.anonymous or self.name.startswith("<")):
            why, remedy = "needs a name that is the same in all processes", "give name="
            raise InvalidOption("singleton", self.singleton, owner=owner, why=why, remedy=remedy)

    def check_target(self, run: Callable[..., Any], *, awaited: bool, isolated: bool) -> None:
        """Raise `InvalidOption` for a target that can't be run as these options say."""
        owner = f"worker {self.name!r}"
        if is_generator(run):
            raise InvalidOption("func", run, owner=owner, expected="a function without a yield")
        if awaited and (isolated or self.executor is not None):
            executor = self.executor or "process"
            why = "can't run an async target, which runs on a loop"
            raise InvalidOption("executor", executor, owner=owner, why=why, remedy="leave it out")
        if self.pool is not None and (awaited or isolated):
            why = "is for a sync target, which is in no process pool of the supervisor"
            raise InvalidOption("pool", self.pool, owner=owner, why=why, remedy="leave it out")

    def named(self, name: str) -> Options:
        """Return them with the name that a life goes by."""
        return self if name == self.name else replace(self, name=name)

    def with_setting(self, option: str, value: Any) -> Options:
        """Return them with one option set, None for its default. Raises `InvalidOption`."""
        if value is None and option in ("priority", "on_error_kwargs"):
            value = TASK_NORMAL if option == "priority" else {}
        named = option == "name"
        derived, anonymous = self.derived and not named, self.anonymous and not named
        options = replace(self, derived=derived, anonymous=anonymous, **{option: value})
        options.check(f"worker {self.name!r}")
        return options

    def overridden(self, overrides: Mapping[str, Any]) -> Options:
        """Return these options with those that `start` was given in their place.

        Raises `InvalidOption`.
        """
        if not overrides:
            return self
        known = {
            name: value
            for name, value in overrides.items()
            if name in OVERRIDABLE and value is not None
        }
        if not known:
            return self
        named = "name" in known
        derived, anonymous = self.derived and not named, self.anonymous and not named
        options = replace(self, derived=derived, anonymous=anonymous, **known)
        options.check(f"worker {self.name!r}")
        return options


def function_of(
    func: Callable[..., Any] | None, options: dict[str, Any], owner: str
) -> Callable[..., Any] | None:
    """Return the target among `func` and its other names, which it takes out of the options.

    Raises `InvalidOption` for two of them.
    """
    given = {"func": func, **{name: options.pop(name, None) for name in ALIASES}}
    named = [name for name, one in given.items() if one is not None]
    if len(named) > 1:
        why, remedy = f"can't be combined with {named[0]}", "give only one of them"
        raise InvalidOption(named[1], given[named[1]], owner=owner, why=why, remedy=remedy)
    return given[named[0]] if named else None


COMMON = tuple(CommonOptions.__annotations__)
"""The options of every kind."""

TARGETED = ("func", *ALIASES)
"""The options that give the target."""

PACE = ("interval", "delay", "delay_before")
"""The overrides that only a worker with a pace can heed."""

OVERRIDABLE = ("name", "priority", "loop")

OVERRIDES = tuple(f"_{name}" for name in (*OVERRIDABLE, *PACE))
"""Options that `start` accepts for one run in place of the worker's own."""


@dataclass(frozen=True, slots=True)
class StartArguments:
    """The arguments of a `start`: for the target, and for this life of the worker."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    overrides: Mapping[str, Any]

    @classmethod
    def of(cls, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> StartArguments:
        """Separate the target's arguments from the overrides."""
        if kwargs.keys().isdisjoint(OVERRIDES):
            return cls(args, kwargs, {})
        mine = {name[1:]: kwargs[name] for name in OVERRIDES if name in kwargs}
        theirs = {name: value for name, value in kwargs.items() if name not in OVERRIDES}
        return cls(args, theirs, mine)

    def refuse_pace(self, owner: str) -> None:
        """Raise `InvalidOption` if it sets the pace of a worker that has none to be set."""
        for option in PACE:
            value = self.overrides.get(option)
            if value is not None:
                why, remedy = "is for workers with an interval", "leave it out"
                raise InvalidOption(f"_{option}", value, owner=owner, why=why, remedy=remedy)


CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (lambda name: isinstance(name, str), "a text"),
    "priority": (is_whole, "a whole number"),
    "on_error": (callable, "a function"),
    "on_error_kwargs": (lambda kwargs: isinstance(kwargs, Mapping), "a dict"),
    "supervisor": (lambda one: isinstance(one, TaskSupervisor), "a TaskSupervisor"),
    "poll_delay": (lambda seconds: is_number(seconds) and seconds > 0, "seconds > 0"),
    "loop": (
        lambda loop: isinstance(loop, str | ALoop | asyncio.AbstractEventLoop),
        "the name of an aloop, an aloop, or an asyncio loop",
    ),
    "executor": (EXECUTORS.__contains__, "'thread', 'process' or None"),
    "pool": (lambda pool: callable(getattr(pool, "submit", None)), "an executor with `submit`"),
    "restart": (lambda restart: isinstance(restart, Restart), "a Restart"),
    "singleton": (lambda one: callable(getattr(one, "lock", None)), "a Queue"),
}
"""Check and expectation of each option."""
