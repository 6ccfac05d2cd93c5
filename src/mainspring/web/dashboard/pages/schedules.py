"""The schedules: their rules, last and next times; to pause, resume and run now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.errors import InvalidOption, ScheduleUnreadable
from mainspring.model.timetable import ScheduleRecord
from mainspring.web.dashboard.html import Html, joined, tag
from mainspring.web.dashboard.visit import Done, Page, Refusal
from mainspring.web.dashboard.words import (
    NOTHING,
    badge,
    button,
    clipped,
    empty,
    moment,
    section,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mainspring.model.timetable import NewSchedule
    from mainspring.queue.schedule_handle import ScheduleHandle
    from mainspring.web.dashboard.html import Child
    from mainspring.web.dashboard.visit import Visit

HEADS = ("Schedule", "Rule", "Task", "Last tick", "Next", "Then", "Action")
TIMES = 5
MOST_LETTERS = 300
MOST = 200
"""Schedules that are shown, by name."""


def schedules(visit: Visit) -> Page:
    """Return the page."""
    timetable = visit.site.store.schedules()
    records = {record.new.name: record for record in timetable.schedules}
    kept, moment_ = set(records), timetable.now
    for new in visit.site.queue.schedules.declared:
        # Declared here, and not brought to the store yet, or removed from it.
        records.setdefault(new.name, ScheduleRecord(new, moment_, moment_, paused=False))
    names = sorted(records)
    rows = [_row(visit, records[name], moment_, kept=name in kept) for name in names[:MOST]]
    said = empty("There are none: a task has one with @queue.cron or @queue.every.")
    keys = [f"schedule {name}" for name in names[:MOST]]
    body = table(HEADS, rows, label="Schedules", keys=keys) if rows else said
    more = f"the first {MOST} of {len(names):,}" if len(names) > MOST else None
    return Page("Schedules", section("By name", body, aside=more), live=True)


def pause(visit: Visit) -> Done:
    """Pause the schedule that the form names."""
    return Done("/schedules", "schedule-paused" if _known(visit).pause() else "unchanged")


def resume(visit: Visit) -> Done:
    """Let the schedule tick again that the form names."""
    return Done("/schedules", "schedule-resumed" if _known(visit).resume() else "unchanged")


def run_now(visit: Visit) -> Done:
    """Enqueue a job of the schedule that the form names."""
    try:
        _known(visit).trigger()
    except ScheduleUnreadable as error:
        raise Refusal(409, str(error)) from error
    return Done("/schedules", "schedule-run")


def _known(visit: Visit) -> ScheduleHandle:
    name = visit.field("schedule")
    found = visit.site.queue.schedules.get(name)
    if found is None:
        raise Refusal(404, f"There is no schedule {name!r}.")
    return found


def _row(visit: Visit, record: ScheduleRecord, now: datetime, *, kept: bool) -> Sequence[Child]:
    name = record.new.name
    times, trouble = _next(record, now) if kept else ([], None)
    following: Child = moment(times[0], now) if times else tag("span", NOTHING, class_="faint")
    if record.paused or trouble:
        following = badge("paused" if record.paused else "unreadable")
    elif not kept:
        following = tag("span", "when a worker starts", class_="faint")
    return (
        joined(clipped(name), tag("p", trouble, class_="message") if trouble else None),
        tag("code", clipped(str(record.new.rule))),
        joined(
            tag("a", clipped(record.new.task), href=visit.url("/jobs", task=record.new.task)),
            _of_jobs(visit, record.new),
        ),
        moment(record.ticked_at(), now, "never"),
        following,
        tag("span", [joined(_clock(one, now), " ") for one in times[1:]], class_="times"),
        _actions(visit, name, paused=record.paused),
    )


def _of_jobs(visit: Visit, new: NewSchedule) -> Html | None:
    """Return what its jobs have of their own; the values of metadata as far as they are shown."""
    metadata = visit.site.redaction.value(new.options.metadata, set())
    given = {"queue": new.queue, "priority": new.priority or None, **new.terms}
    given |= {"tags": " ".join(new.options.tags), "metadata": metadata}
    if new.queue == "default":
        del given["queue"]
    said = ", ".join(
        f"{name} {value}" for name, value in given.items() if value not in (None, "", {})
    )
    return tag("p", clipped(said, MOST_LETTERS), class_="faint") if said else None


def _next(record: ScheduleRecord, now: datetime) -> tuple[list[datetime], str | None]:
    """Return the next times, and why there are none of a schedule that can't be read."""
    times = [now]
    try:
        while len(times) <= TIMES and (following := record.next_after(times[-1])) is not None:
            times.append(following)
    except (InvalidOption, ScheduleUnreadable) as error:
        return [], str(error)
    return ([] if record.paused else times[1:]), None


def _clock(at: datetime, now: datetime) -> Html:
    shown = f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at:%b %d, %H:%M}"
    return tag("time", shown, datetime=at.isoformat(), title=f"{at:%Y-%m-%d %H:%M:%S} UTC")


def _actions(visit: Visit, name: str, *, paused: bool) -> Html:
    spoken, back = f"schedule {name}", "/schedules"
    change = ("Resume", "/schedules/resume") if paused else ("Pause", "/schedules/pause")
    return tag(
        "span",
        button(visit, "Run now", "/schedules/run", back=back, name=spoken, schedule=name),
        button(visit, *change, back=back, name=spoken, schedule=name),
        class_="actions",
    )
