"""Background workers with a pace: an interval, a delay, or a cron rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mainspring.background.workers.generics import P, R
from mainspring.background.workers.triggered import TriggeredWorker
from mainspring.errors import InvalidOption
from mainspring.supervision.triggers.interval import Interval, Misfire, check_pace
from mainspring.supervision.triggers.scheduled import Scheduled

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from mainspring.background.workers.options import StartArguments
    from mainspring.protocols import Trigger


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
        self.__pace: dict[str, Any] = {
            "interval": interval,
            "delay": delay,
            "delay_before": delay_before,
            "jitter": jitter,
            "misfire": misfire,
        }
        self.__schedule = self.__check(cron, tz)

    @property
    def interval(self) -> float | None:
        """The seconds from one run's start to the next one's, None with a delay or a cron rule."""
        seconds: float | None = self.__pace["interval"]
        return seconds

    @interval.setter
    def interval(self, seconds: float | None) -> None:
        self.__repace(interval=seconds, delay=None)

    @property
    def delay(self) -> float | None:
        """The seconds between two runs, from the start of the first with `keep_interval`."""
        interval = self.interval
        seconds: float | None = self.__pace["delay"] if interval is None else interval
        return seconds

    @delay.setter
    def delay(self, seconds: float | None) -> None:
        self.__repace(**{"interval" if self.keep_interval else "delay": seconds})

    @property
    def keep_interval(self) -> bool:
        """True if `delay` counts from the start of a run, False if from its end."""
        return self.interval is not None

    @keep_interval.setter
    def keep_interval(self, keep: bool) -> None:
        seconds = self.delay
        self.__repace(interval=seconds if keep else None, delay=None if keep else seconds)

    @property
    def delay_before(self) -> float | None:
        """The seconds before each run."""
        seconds: float | None = self.__pace["delay_before"]
        return seconds

    @delay_before.setter
    def delay_before(self, seconds: float | None) -> None:
        self.__repace(delay_before=seconds)

    def __repace(self, **pace: float | None) -> None:
        """Have another pace, while it is started from the next run on. Raises `InvalidOption`."""
        owner = f"worker {self.name!r}"
        if self.__schedule is not None:
            option, value = next(iter(pace.items()))
            why, remedy = "can't be combined with cron", "make another worker"
            raise InvalidOption(option, value, owner=owner, why=why, remedy=remedy)
        new = {**self.__pace, **pace}
        check_pace(**new, owner=owner)
        self.__pace = new
        if self._worker_run is not None and isinstance(self._worker_run.trigger, Interval):
            self._worker_run.trigger.repace(new["interval"], new["delay"], new["delay_before"])

    @property
    def paced(self) -> bool:
        """True if `start` may be given another pace: not with a cron rule."""
        return self.__schedule is None

    def make_trigger(self, start: StartArguments) -> Trigger:
        """Return what fires at the pace that it was made with, or that `start` was given."""
        if self.__schedule is not None:
            return Scheduled(self.__schedule)
        pace = {name: value for name, value in start.overrides.items() if name in self.__pace}
        # An interval given at the start stands in for a delay, and the other way round.
        if pace.get("interval") is not None:
            pace.setdefault("delay", None)
        elif pace.get("delay") is not None:
            pace["interval"] = None
        return Interval(**{**self.__pace, **pace}, owner=f"worker {self.name!r}")

    def __check(self, cron: str | None, tz: str | tzinfo | None) -> Any:
        owner = f"worker {self.name!r}"
        if cron is None:
            if tz is not None:
                why, remedy = "has no effect without cron", "give cron, too, or leave tz out"
                raise InvalidOption("tz", tz, owner=owner, why=why, remedy=remedy)
            check_pace(**self.__pace, owner=owner)
            if self.__pace["interval"] is None and self.__pace["misfire"] != "coalesce":
                misfire = self.__pace["misfire"]
                why, remedy = "has no effect without interval", "give interval, or leave it out"
                raise InvalidOption("misfire", misfire, owner=owner, why=why, remedy=remedy)
            return None
        for option, value in self.__pace.items():
            if value not in (None, 0.0, "coalesce"):
                why, remedy = "can't be combined with cron", "give only one of them"
                raise InvalidOption(option, value, owner=owner, why=why, remedy=remedy)
        from mainspring.model.schedule import Cron  # noqa: PLC0415  a lazy door: 20 ms for few

        return Cron(cron) if tz is None else Cron(cron, tz)
