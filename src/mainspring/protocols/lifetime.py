"""Interfaces of supervision: services, triggers, gates, and subscribers of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from datetime import datetime


@runtime_checkable
class Service(Protocol):
    """Anything with a lifetime, owned by a supervisor.

    The contract, checked by `mainspring.testing.ServiceContract`: `close()` only asks, from any
    thread, any number of times, also before `run` or while it starts; `run` returning is the
    answer. `run` calls `started()` exactly once, as soon as others may rely on it, and raises what
    made it fail. A service that was closed before `run` calls `started()` and returns at once.
    """

    @property
    def name(self) -> str:
        """Its name for the supervisor, the log and the views."""
        ...

    async def run(self, started: Callable[[], None]) -> None:
        """Live, from start to end, on the supervisor's loop."""
        ...

    def close(self) -> None:
        """Ask to end."""
        ...


class Schedule(Protocol):
    """A pure rule that says when something is due; it has no clock of its own."""

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first moment after `moment` (both aware), or None if there is no further."""
        ...


class Trigger(Protocol):
    """Decides when a worker runs, without waiting itself.

    A driver (a thread or an event loop) asks `due`, sleeps so long or until woken, then calls
    `take`, runs the target, and reports `done`. `now` is `time.monotonic()`. All methods are
    called by one driver; only `wake` and `close` may come from any thread, and both end the
    driver's sleep through the function given to `bind`.
    """

    def bind(self, wake: Callable[[], None]) -> None:
        """Set the function that ends the driver's sleep; callable from any thread."""
        ...

    def due(self, now: float) -> float | None:
        """Return the seconds until the next firing (0 or less: now; None: not before a wake)."""
        ...

    def take(self, now: float) -> tuple[object, ...] | None:
        """Consume the firing that is due; return positional arguments for the target.

        None: it is no longer due, and there is no run.
        """
        ...

    def done(self, now: float) -> None:
        """Note that the run which `take` began has ended, however it ended."""
        ...

    def wake(self) -> None:
        """Fire as soon as possible."""
        ...

    def close(self) -> None:
        """Fire no more."""
        ...

    @property
    def closed(self) -> bool:
        """True once it was closed."""
        ...


class Gate(Protocol):
    """Lets a worker run, or not for now; its driver asks before each run."""

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


class Subscriber(Protocol):
    """Receive an event; must not block. What it raises is logged and goes no further."""

    def __call__(self, event: Any, /) -> object:
        """Handle an event."""
        ...
