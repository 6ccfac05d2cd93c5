"""What a contender among the task pools must be able to do. Imports nothing but Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

WORKERS = 10


class Contender(Protocol):
    """A pool of ten workers; made and used on one loop."""

    version: str

    async def start(self, *, cached: bool) -> None:
        """Start it; `cached`: with its cache on."""
        ...

    async def add(self, function: Callable[..., object], *args: object) -> object:
        """Add a task."""
        ...

    async def stop(self) -> None:
        """Stop it."""
        ...
