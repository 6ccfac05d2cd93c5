"""Background workers that run when they are triggered, and their event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mainspring.background.workers.generics import P, R
from mainspring.background.workers.triggered import TriggeredWorker
from mainspring.errors import InvalidOption, NotRunning
from mainspring.supervision.triggers.event import Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.background.workers.options import StartArguments
    from mainspring.protocols import Trigger


class BackgroundEventWorker(TriggeredWorker[P, R]):
    """Runs its target when triggered; triggers before a run begins are one run."""

    kind: ClassVar[str] = "event"
    own_options: ClassVar[tuple[str, ...]] = ("event", "e")

    def __init__(
        self,
        name: str | None = None,
        func: Callable[P, R] | None = None,
        *,
        event: bool = True,
        e: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(name, func, **options)
        if not (event and e):
            raise InvalidOption("event", event, owner=f"worker {self.name!r}", expected="True")

    def get_event_obj(self) -> EventHandle:
        """Return the event of a worker that is active; raises `NotRunning`."""
        run = self._worker_run
        if run is None or not isinstance(run.trigger, Event):
            raise NotRunning(f"worker {self.name!r} is not running; start it first")
        return EventHandle(run.trigger)

    def make_trigger(self, start: StartArguments) -> Trigger:
        """Return what fires on demand."""
        return Event(payloads=self.takes.lead > len(start.args))


class EventHandle:
    """The event of an event worker, with the verbs of `threading.Event`; for any thread."""

    def __init__(self, trigger: Event) -> None:
        self._trigger = trigger

    def set(self) -> None:
        """Trigger the worker."""
        self._trigger.fire()

    def clear(self) -> None:
        """Forget a trigger that no run has taken yet."""
        self._trigger.forget()

    def is_set(self) -> bool:
        """Return whether it has been triggered since the last run began."""
        return self._trigger.pending
