"""The gate of a worker that may not always run: its driver asks it before each run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future


class Gate(Protocol):
    """Lets a worker run, or not for now."""

    @property
    def reason(self) -> str:
        """The thing that a worker waits for while it is closed, for people."""
        ...

    @property
    def is_open(self) -> bool:
        """True while the worker may run; from any thread."""
        ...

    def bind(self, wake: Callable[[], None], end_run: Callable[[], None]) -> None:
        """Set what to call when it has opened, and when it closes under a run."""
        ...

    def opens(self) -> bool:
        """Return whether it is open; if not, see to it. Called by the driver, between two runs.

        What it raises is the failure of a run.
        """
        ...

    def leave(self) -> Future[None] | None:
        """Let others in; return what is done once they can come, None if nothing is to be done."""
        ...
