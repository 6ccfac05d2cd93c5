"""The schedules of a queue: declared by decorators, ticked by its workers, looked at by people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from mainspring.errors import DuplicateName, InvalidOption
from mainspring.model import options
from mainspring.model.async_twin import off_loop
from mainspring.model.timetable import ScheduleRecord
from mainspring.queue.job_handle import JobHandle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta
    from zoneinfo import ZoneInfo

    from mainspring.model.timetable import CatchUp, NewSchedule
    from mainspring.model.unique import Unique
    from mainspring.protocols import Timetable
    from mainspring.queue.binding import Binding
    from mainspring.queue.client import QueueClient
    from mainspring.queue.queue_task import QueueTask

Seen = tuple[ScheduleRecord | None, datetime]
"""A schedule as the store had it, and the store's time."""

MOST_TIMES = 1_000
_COUNT = options.count(least=1, most=MOST_TIMES)


_REPLACE = "give it another name, or say replace=True (--replace)"
_CHANGE = "Queue.schedules.change()"


class AddedOptions(TypedDict, total=False):
    """Options of a schedule that is added at run time; see `Schedules.add`."""

    cron: str | None
    every: float | timedelta | None
    tz: str | ZoneInfo
    args: Sequence[Any]
    kwargs: Mapping[str, Any] | None
    catch_up: CatchUp
    queue: str
    priority: int
    unique: str | Unique | None
    expires: float | timedelta | None


class ChangedOptions(AddedOptions, total=False):
    """Options that a schedule may be given later; see `Schedules.change`."""

    task: QueueTask[..., Any, Any] | str


class ScheduleHandle:
    """A schedule in the caller's hand. Every field is read from the store when it is asked for.

    One that no worker has brought to the store yet reads as it was declared, with no last tick.
    The fields of one from `Schedules.list` are those of that moment.
    """

    def __init__(
        self,
        client: QueueClient,
        timetable: Timetable,
        name: str,
        declared: NewSchedule | None,
        seen: Seen | None = None,
    ) -> None:
        self._client = client
        self._timetable = timetable
        self._declared = declared
        self._seen = seen
        self.name = name

    def __repr__(self) -> str:
        return f"<ScheduleHandle {self.name}>"

    @property
    def rule(self) -> str:
        """Its rule, as a person would say it."""
        return str(self._new().rule)

    @property
    def task(self) -> str:
        """The name of the task of its jobs."""
        return self._new().task

    @property
    def queue(self) -> str:
        """The queue of its jobs."""
        return self._new().queue

    @property
    def priority(self) -> int:
        """The priority of its jobs: lower is more urgent."""
        return self._new().priority

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments of its jobs."""
        return self._call()[0]

    @property
    def kwargs(self) -> dict[str, Any]:
        """The keyword arguments of its jobs."""
        return self._call()[1]

    @property
    def catch_up(self) -> CatchUp:
        """Treatment of missed ticks."""
        return self._new().catch_up

    @property
    def added(self) -> bool:
        """True if it was added at run time, False if code declares it."""
        return self._new().added

    @property
    def last_tick(self) -> datetime | None:
        """Its last tick (aware UTC); None: none since it was declared, changed or resumed."""
        record, _ = self._look()
        return None if record is None else record.ticked_at()

    @property
    def paused(self) -> bool:
        """True while it is paused, until `resume`."""
        record, _ = self._look()
        return record is not None and record.paused

    def next(self, count: int = 1) -> list[datetime]:
        """Return its next times (aware UTC), at most `count`; a pause is not looked at.

        Fewer than that if the rule has no more.
        """
        _COUNT(f"schedule {self.name!r}", "count", count)
        record, now = self._look()
        if record is None:
            record = ScheduleRecord(self._new(), now, now, paused=False)
        times = [now]
        while len(times) <= count and (following := record.next_after(times[-1])) is not None:
            times.append(following)
        return times[1:]

    anext = off_loop(next)  # noqa: A003  # the method above

    def pause(self) -> bool:
        """Tick no more, in no process; False if it was paused already."""
        self._seen = None
        self._make_known()
        return self._timetable.pause_schedule(self.name)

    apause = off_loop(pause)

    def resume(self) -> bool:
        """Tick again, from now on; False if it was not paused."""
        self._seen = None
        return self._timetable.resume_schedule(self.name)

    aresume = off_loop(resume)

    def trigger(self) -> JobHandle[Any]:
        """Enqueue one of its jobs now; its ticks go on as they were.

        If a live job bears its unique key, the handle is that one's.
        """
        record, _ = self._look()
        if record is not None:
            record.check()
        new = self._new()
        return JobHandle(self._client, self._client.enqueue([new.job()])[0], new.task)

    atrigger = off_loop(trigger)

    def forget(self) -> bool:
        """Drop it from the store; False if it is not there.

        A worker whose code declares it brings it back.
        """
        self._seen = None
        return self._timetable.forget_schedule(self.name)

    aforget = off_loop(forget)

    def _look(self) -> tuple[ScheduleRecord | None, datetime]:
        """Return it as the store has it, and the store's time."""
        if self._seen is not None:
            return self._seen
        timetable = self._timetable.schedules()
        found = (record for record in timetable.schedules if record.new.name == self.name)
        return next(found, None), timetable.now

    def _new(self) -> NewSchedule:
        record, _ = self._look()
        new = self._declared if record is None else record.new
        if new is None:
            raise LookupError(f"schedule {self.name!r} is not in the store any more")
        return new

    def _call(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        new = self._new()
        return self._client.codec.decode_call(new.payload, new.task)

    def _make_known(self) -> None:
        if self._declared is not None and self._look()[0] is None:
            self._timetable.declare([self._declared])


class Schedules(Mapping[str, ScheduleHandle]):
    """The schedules by name: those that this program declares, and all others in the store."""

    def __init__(self, binding: Binding, changed: Callable[[], None]) -> None:
        self._binding = binding
        self._changed = changed
        self._declared: dict[str, tuple[NewSchedule, Callable[..., Any]]] = {}

    def __repr__(self) -> str:
        return f"<Schedules {', '.join(self)}>"

    @property
    def declared(self) -> tuple[NewSchedule, ...]:
        """Schedules that this program declares, for the workers that make ticks."""
        return tuple(new for new, _ in self._declared.values())

    def __getitem__(self, name: str) -> ScheduleHandle:
        """Return a schedule; KeyError if neither this program nor the store knows it."""
        if name not in self._names():
            raise KeyError(name)
        declared = self._declared.get(name)
        client = self._binding.client
        return ScheduleHandle(client, client.store, name, declared and declared[0])

    async def aget(self, name: str) -> ScheduleHandle | None:
        """Return a schedule without blocking the event loop; None if there is none."""
        return await _get(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names()))

    def __len__(self) -> int:
        return len(self._names())

    def list(self) -> list[ScheduleHandle]:
        """Return all schedules by name, with their fields as of now: in one read of the store."""
        client = self._binding.client
        timetable = client.store.schedules()
        known = {record.new.name: record for record in timetable.schedules}
        declared = {name: new for name, (new, _) in self._declared.items()}
        return [
            ScheduleHandle(
                client, client.store, name, declared.get(name), (known.get(name), timetable.now)
            )
            for name in sorted({*known, *declared})
        ]

    alist = off_loop(list)  # noqa: A003  # the method above

    def add(
        self,
        name: str,
        task: QueueTask[..., Any, Any] | str,
        *,
        replace: bool = False,
        **options: Unpack[AddedOptions],
    ) -> ScheduleHandle:
        """Add a schedule to the store: each worker that knows the task makes its ticks.

        `task`: a task of this program, or a name that only workers know. Give `cron` (with `tz`) or
        `every` (seconds, or a timedelta); `args`, `kwargs`, `catch_up` as to `Queue.cron`, and
        `queue`, `priority`, `unique`, `expires` as to `using`. It stays until it is removed. Raises
        DuplicateName if there is one of that name, unless it `replace`s that; InvalidOption,
        InvalidArguments, UnknownOption.
        """
        from mainspring.queue.added_schedules import added  # noqa: PLC0415  # a lazy door
        from mainspring.queue.names import warn_of_task  # noqa: PLC0415  # as above

        new = added(self._binding, name, task, options)
        self._refuse_declared(name)
        if isinstance(task, str):
            client = self._binding.client
            warn_of_task(client.store, client.tasks, task)
        while not self._swap(new, expected := self._kept(name) if replace else None):
            if expected is None and (there := self._kept(name)) is not None and not replace:
                first, second = (f"{one.rule} of {one.task}" for one in (there, new))
                raise DuplicateName(
                    name, kind="schedule", first=first, second=second, remedy=_REPLACE
                )
        return self[name]

    aadd = off_loop(add)

    def change(self, name: str, **options: Unpack[ChangedOptions]) -> ScheduleHandle:
        """Change a schedule that was added: what is given, and nothing else of it.

        It keeps its pause; a new rule counts from now, another leaves its next tick where it is.
        Raises KeyError for a name that is not there, InvalidOption also for one that code declares.
        """
        from mainspring.queue.added_schedules import changed  # noqa: PLC0415  # as above

        self._refuse_declared(name)
        while True:
            known = self._kept(name)
            if known is None:
                raise KeyError(name)
            if not known.added:
                why, remedy = "is declared by code", "change it there, or add it with replace=True"
                raise InvalidOption("name", name, owner=_CHANGE, why=why, remedy=remedy)
            if self._swap(changed(self._binding, known, options), known):
                return self[name]

    achange = off_loop(change)

    def remove(self, name: str) -> bool:
        """Remove a schedule from the store; False if there is none of that name.

        Jobs of its ticks stay. Raises InvalidOption for one that this program's code declares.
        """
        self._refuse_declared(name)
        return self._binding.client.store.forget_schedule(name)

    aremove = off_loop(remove)

    def declare(self, new: NewSchedule, function: Callable[..., Any]) -> None:
        """Declare a schedule; DuplicateName if another one has its name."""
        known = self._declared.get(new.name)
        # A module that is loaded again brings new functions under the names of the old.
        if known is not None and (known[1] is function or known[0].task != new.task):
            first, second = (f"{one.rule} of {one.task}" for one in (known[0], new))
            raise DuplicateName(new.name, kind="schedule", first=first, second=second)
        self._declared[new.name] = new, function
        self._changed()

    def _refuse_declared(self, name: str) -> None:
        if name in self._declared:
            why = "is declared by the code of this program, which would bring it back"
            remedy = "change the code, take another name, or pause it"
            raise InvalidOption("name", name, owner="Queue.schedules", why=why, remedy=remedy)

    def _swap(self, new: NewSchedule, expected: NewSchedule | None) -> bool:
        kept = self._binding.client.store.swap_schedule(new, expected=expected)
        if kept:
            self._changed()  # for workers of this process; others look every few seconds
        return kept

    def _kept(self, name: str) -> NewSchedule | None:
        timetable = self._binding.client.store.schedules()
        return next((one.new for one in timetable.schedules if one.new.name == name), None)

    def _names(self) -> set[str]:
        timetable = self._binding.client.store.schedules()
        return {record.new.name for record in timetable.schedules}.union(self._declared)


def _find(schedules: Schedules, name: str) -> ScheduleHandle | None:
    return schedules.get(name)


_get = off_loop(_find)
