"""The schedules of a queue: declared by decorators, ticked by its workers, looked at by people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from mainspring.errors import DuplicateName, InvalidOption
from mainspring.model.async_twin import off_loop
from mainspring.queue.schedule_handle import ScheduleHandle

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from datetime import timedelta
    from zoneinfo import ZoneInfo

    from mainspring.model.backoff import KeptBackoff
    from mainspring.model.timetable import CatchUp, NewSchedule
    from mainspring.model.unique import Unique
    from mainspring.queue.binding import Binding
    from mainspring.queue.queue_task import QueueTask

_REPLACE = "give it another name, or say replace=True (--replace)"
_CHANGE = "Queue.schedules.change()"


class AddedOptions(TypedDict, total=False):
    """Options of a schedule that is added at run time; see `Schedules.add`."""

    cron: str | None
    every: float | timedelta | None
    tz: str | ZoneInfo | None
    args: Sequence[Any] | None
    kwargs: Mapping[str, Any] | None
    catch_up: CatchUp | None
    queue: str | None
    priority: int | None
    unique: str | Unique | None
    expires: float | timedelta | None
    retries: int | None
    timeout: float | None
    keep_result: float | timedelta | None
    backoff: KeptBackoff | None
    tags: Collection[str] | None
    metadata: Mapping[str, Any] | None


class ChangedOptions(AddedOptions, total=False):
    """Options that a schedule may be given later; see `Schedules.change`."""

    task: QueueTask[..., Any, Any] | str


class Schedules(Mapping[str, ScheduleHandle]):
    """The schedules by name: those that this program declares, and all others in the store."""

    def __init__(self, binding: Binding, changed: Callable[[], None]) -> None:
        self._binding = binding
        self._changed = changed
        self._declared: dict[str, tuple[NewSchedule, Callable[..., Any], int]] = {}

    def __repr__(self) -> str:
        return f"<Schedules {', '.join(self)}>"

    @property
    def declared(self) -> tuple[NewSchedule, ...]:
        """Schedules that this program declares, for the workers that make ticks."""
        return tuple(new for new, *_ in self._declared.values())

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
        declared = {name: new for name, (new, *_) in self._declared.items()}
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
        `queue`, `priority`, `unique`, `expires`, `retries`, `timeout`, `keep_result`, `backoff`,
        `tags`, `metadata` of its jobs as to `using`. None of any is its default. It stays until it
        is removed. Raises DuplicateName if there is one of that name, unless it `replace`s that;
        InvalidOption, InvalidArguments, UnknownOption.
        """
        from mainspring.queue.added_schedules import added  # noqa: PLC0415  # a lazy door
        from mainspring.queue.names import warn_of_task  # noqa: PLC0415  # as above

        new = added(self._binding, name, task, options)
        self._refuse_declared(name)
        if isinstance(task, str):
            warn_of_task(self._binding.client.store, self._binding.tasks, task)
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

        `options` are those of `add`, and `task`. None gives one back to its default, as if `add`
        had not been given it. It keeps its pause; a new rule counts from now, another leaves its
        next tick where it is. A unique key follows the arguments that it is made of. Raises
        KeyError for a name that is not there, InvalidOption also for one that code declares.
        """
        from mainspring.queue.added_schedules import changed  # noqa: PLC0415  # as above
        from mainspring.queue.names import warn_of_task  # noqa: PLC0415  # as above

        self._refuse_declared(name)
        while True:
            known = self._kept(name)
            if known is None:
                raise KeyError(name)
            if not known.added:
                why, remedy = "is declared by code", "change it there, or add it with replace=True"
                raise InvalidOption("name", name, owner=_CHANGE, why=why, remedy=remedy)
            new = changed(self._binding, known, options)
            if isinstance(task := options.get("task"), str):
                warn_of_task(self._binding.client.store, self._binding.tasks, task)
            if self._swap(new, known):
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
        known, turn = self._declared.get(new.name), self._binding.tasks.round
        # A module that is loaded again, and the factory of another application, bring new functions
        # under the names of the old; or the same, the latter.
        if known is not None:
            twice = known[1] is function and known[2] == turn
            if twice or known[0].task != new.task:
                first, second = (f"{one.rule} of {one.task}" for one in (known[0], new))
                raise DuplicateName(new.name, kind="schedule", first=first, second=second)
        self._declared[new.name] = new, function, turn
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
