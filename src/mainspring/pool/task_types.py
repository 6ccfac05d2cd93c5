"""The table of task types: which function stands under which name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class TaskType:
    """A function under its name; `http` says whether it may be started over HTTP."""

    name: str
    function: Callable[..., Any] = field(repr=False)
    http: bool = True


class TaskTypes:
    """Task types by name, and names by function."""

    def __init__(self) -> None:
        self._types: dict[str, TaskType] = {}
        self._names: dict[Callable[..., Any], str] = {}

    def add(self, task_type: TaskType) -> TaskType | None:
        """Register a type; return the one whose place it took, if any."""
        hash(task_type.function)  # TypeError for one that has none, before anything is changed
        before = self._types.get(task_type.name)
        self._types[task_type.name] = task_type
        if before is not None and self._names.get(before.function) == task_type.name:
            del self._names[before.function]
            for other in self:  # it may stand under another name as well
                if other.function == before.function:
                    self._names[other.function] = other.name
        self._names[task_type.function] = task_type.name
        return before

    def get(self, name: str) -> TaskType | None:
        """Return the type of that name, None if there is none."""
        return self._types.get(name)

    def name_of(self, function: Callable[..., Any]) -> str | None:
        """Return the name a function is registered under, None if it is not."""
        try:
            return self._names.get(function)
        except TypeError:  # it has no hash, so nobody registered it
            return None

    def __iter__(self) -> Iterator[TaskType]:
        return iter(tuple(self._types.values()))


types = TaskTypes()
"""The types of this process, which all of its pools share."""
