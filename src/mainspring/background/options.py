"""What a background worker is made with, checked when it is made."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from mainspring.errors import InvalidOption, UnknownOption
from mainspring.supervision.threads.priority import TASK_NORMAL

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from mainspring.background.aloop import ALoop
    from mainspring.background.task_supervisor import TaskSupervisor
    from mainspring.supervision.restart import Restart

EXECUTORS = (None, "thread", "process")


class CommonOptions(TypedDict, total=False):
    """What every kind of worker takes besides what makes it one of its kind; see `Options`."""

    name: str | None
    priority: int
    o: Any
    on_error: Callable[..., object] | None
    on_error_kwargs: Mapping[str, Any] | None
    supervisor: TaskSupervisor | None
    poll_delay: float | None
    loop: ALoop | asyncio.AbstractEventLoop | str | None
    executor: Literal["thread", "process"] | None
    restart: Restart | None


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
    restart: Restart | None = None

    @classmethod
    def of(cls, name: str | None, given: dict[str, Any], *, also: tuple[str, ...]) -> Options:
        """Check and keep what was given; `also` names what the kind takes besides.

        Raises `UnknownOption`, `InvalidOption`.
        """
        known = tuple(one.name for one in fields(cls))
        owner = f"worker {name!r}"
        for option in given:
            if option not in known:
                raise UnknownOption(option, owner=owner, known=(*known, "func", "fn", *also))
        given = {option: value for option, value in given.items() if value is not None}
        options = cls(name=name or str(uuid.uuid4()), **given)
        options.check(owner)
        return options

    def check(self, owner: str) -> None:
        """Raise `InvalidOption` for a value that makes no sense."""
        if self.executor not in EXECUTORS:
            expected = "'thread', 'process' or None"
            raise InvalidOption("executor", self.executor, owner=owner, expected=expected)
        if not isinstance(self.priority, int):
            raise InvalidOption("priority", self.priority, owner=owner, expected="a whole number")
        if self.on_error is not None and not callable(self.on_error):
            raise InvalidOption("on_error", self.on_error, owner=owner, expected="a function")
        if self.poll_delay is not None and not self.poll_delay > 0:
            raise InvalidOption("poll_delay", self.poll_delay, owner=owner, expected="seconds > 0")

    def overridden(self, overrides: Mapping[str, Any]) -> Options:
        """Return these options with those that `start` was given in their place."""
        known = {name: value for name, value in overrides.items() if name in OVERRIDABLE}
        return replace(self, **known) if known else self


OVERRIDABLE = ("name", "priority", "loop")
