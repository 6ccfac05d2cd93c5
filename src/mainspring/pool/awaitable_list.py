"""A list that may also be awaited: newer releases of async-task-worker await their getters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

T = TypeVar("T")


class AwaitableList(list[T]):
    """A list; awaiting it gives the list itself, at once."""

    def __await__(self) -> Generator[None, None, Self]:
        yield from ()
        return self
