"""The base of event and interval workers: they can be triggered by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mainspring.background.workers.generics import P, R
from mainspring.background.workers.worker import BackgroundWorker
from mainspring.clock import monotonic
from mainspring.errors import NotRunning
from mainspring.supervision.triggers.event import Event
from mainspring.supervision.triggers.interval import Interval
from mainspring.supervision.triggers.scheduled import Scheduled

if TYPE_CHECKING:
    from mainspring.protocols import Trigger


class TriggeredWorker(BackgroundWorker[P, R]):
    """A worker that can be triggered by hand: by an event or an interval."""

    borrows_threads: ClassVar[bool] = True

    async def trigger(
        self,
        force: bool = False,  # noqa: FBT001, FBT002  the pages' signature
        skip: bool = False,  # noqa: FBT001, FBT002  the pages' signature
        payload: Any = None,
    ) -> None:
        """Trigger it from a coroutine, as `trigger_threadsafe`."""
        self.trigger_threadsafe(force, skip, payload)

    def trigger_threadsafe(
        self,
        force: bool = False,  # noqa: ARG002, FBT001, FBT002  accepted: no trigger is ever dropped
        skip: bool = False,  # noqa: FBT001, FBT002  the pages' signature
        payload: Any = None,
    ) -> None:
        """Run the target as soon as possible; from any thread. During a run: once more after it.

        With `skip` it does not run: an interval counts anew from now, a cron worker leaves its
        next tick out, an event worker forgets what it has not run for yet. `payload` reaches an
        event target that declares a positional. Raises `NotRunning` unless it is active.
        """
        run = self._worker_run
        if run is None or not run.active:
            raise NotRunning(f"worker {self.name!r} is not running; start it first")
        pull(run.trigger, skip=skip, payload=payload)


def pull(trigger: Trigger, *, skip: bool, payload: Any) -> None:
    """Set a trigger off by hand, or put it off."""
    if isinstance(trigger, Event):
        trigger.forget() if skip else trigger.fire(payload)
    elif skip and isinstance(trigger, Interval):
        trigger.rebase(monotonic())
    elif skip and isinstance(trigger, Scheduled):
        trigger.rebase()
    else:
        trigger.wake()
