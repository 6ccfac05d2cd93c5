"""Background workers that something else than the end of the last run sets going."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

from mainspring.background.worker import BackgroundWorker
from mainspring.errors import InvalidOption, NotRunning
from mainspring.supervision.triggers.event import Event
from mainspring.supervision.triggers.interval import Interval, Misfire, check_pace
from mainspring.supervision.triggers.scheduled import Scheduled

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from mainspring.background.session import StartArguments
    from mainspring.protocols import Trigger

P = ParamSpec("P")
R = TypeVar("R")


class BackgroundAsyncWorker(BackgroundWorker[P, R]):
    """Awaits its target again and again, on `loop`."""


class TriggeredWorker(BackgroundWorker[P, R]):
    """What event and interval workers share: they can be triggered by hand."""

    @property
    def borrows_threads(self) -> bool:
        """Whether a sync target runs in the thread pool: it does."""
        return True

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
        session = self._session
        if session is None or not session.active:
            raise NotRunning(f"worker {self.name!r} is not running; start it first")
        pull(session.trigger, skip=skip, payload=payload)


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
        session = self._session
        if session is None or not isinstance(session.trigger, Event):
            raise NotRunning(f"worker {self.name!r} is not running; start it first")
        return EventHandle(session.trigger)

    def make_trigger(self, start: StartArguments) -> Trigger:
        """Return what fires on demand."""
        return Event(payloads=self.takes.positional > len(start.args))


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
        """Whether it has been triggered since the last run began."""
        return self._trigger.pending


class BackgroundIntervalWorker(TriggeredWorker[P, R]):
    """Runs its target every `interval` seconds, or `delay` seconds after the last run's end.

    The first run is at once. `delay_before` seconds are waited before each run. `jitter` adds up
    to so many seconds at random. Ticks that a long run misses become one run
    (`misfire="coalesce"`), none (`"skip"`), or one each (`"all"`). Or by `cron`, five fields, in
    the time zone `tz` (UTC).
    """

    kind: ClassVar[str] = "interval"
    own_options: ClassVar[tuple[str, ...]] = (
        "interval",
        "delay",
        "delay_before",
        "jitter",
        "misfire",
        "cron",
        "tz",
    )

    def __init__(  # noqa: PLR0913  the options of the reference pages, and ours
        self,
        name: str | None = None,
        func: Callable[P, R] | None = None,
        *,
        interval: float | None = None,
        delay: float | None = None,
        delay_before: float | None = None,
        jitter: float = 0.0,
        misfire: Misfire = "coalesce",
        cron: str | None = None,
        tz: str | tzinfo | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name, func, **options)
        self._pace: dict[str, Any] = {
            "interval": interval,
            "delay": delay,
            "delay_before": delay_before,
            "jitter": jitter,
            "misfire": misfire,
        }
        self._schedule = self._check(cron, tz)

    @property
    def paced(self) -> bool:
        """Whether `start` may be given another pace: not with a cron rule."""
        return self._schedule is None

    def make_trigger(self, start: StartArguments) -> Trigger:
        """Return what fires at the pace that it was made with, or that `start` was given."""
        if self._schedule is not None:
            return Scheduled(self._schedule)
        pace = {name: value for name, value in start.overrides.items() if name in self._pace}
        # An interval given at the start stands in for a delay, and the other way round.
        if pace.get("interval") is not None:
            pace.setdefault("delay", None)
        elif pace.get("delay") is not None:
            pace["interval"] = None
        return Interval(**{**self._pace, **pace}, owner=f"worker {self.name!r}")

    def _check(self, cron: str | None, tz: str | tzinfo | None) -> Any:
        owner = f"worker {self.name!r}"
        if cron is None:
            if tz is not None:
                raise InvalidOption("tz", tz, owner=owner, expected="cron= with it")
            check_pace(**self._pace, owner=owner)
            if self._pace["interval"] is None and self._pace["misfire"] != "coalesce":
                misfire = self._pace["misfire"]
                raise InvalidOption("misfire", misfire, owner=owner, expected="interval= with it")
            return None
        for option, value in self._pace.items():
            if value not in (None, 0.0, "coalesce"):
                raise InvalidOption(option, value, owner=owner, expected="it or cron=, not both")
        from mainspring.model.schedule import Cron  # noqa: PLC0415  a lazy door: 20 ms for few

        return Cron(cron) if tz is None else Cron(cron, tz)


def pull(trigger: Trigger, *, skip: bool, payload: Any) -> None:
    """Set a trigger off by hand, or put it off."""
    if isinstance(trigger, Event):
        trigger.forget() if skip else trigger.fire(payload)
    elif skip and isinstance(trigger, Interval):
        trigger.rebase(time.monotonic())
    elif skip and isinstance(trigger, Scheduled):
        trigger.rebase()
    else:
        trigger.wake()
