"""Changes of many jobs: each with its words, the states that it fits, and what it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.engine.upkeep.batches import in_batches
from mainspring.model.duration import LONGEST_SECONDS
from mainspring.model.job import FINAL, JobState
from mainspring.model.task import MAX_PRIORITY
from mainspring.model.value import Value
from mainspring.web.dashboard.visit import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.view import JobRecord
    from mainspring.web.dashboard.visit import Visit

ENDED_BADLY = frozenset({JobState.FAILED, JobState.CANCELLED})
LIVE = frozenset({JobState.PENDING, JobState.RUNNING})
WAITING = frozenset({JobState.PENDING})


class Asked(Value, frozen=True):
    """A number that a change needs: the name of its field, and its label."""

    name: str
    label: str
    least: float
    most: float


class BulkChange(Value, frozen=True):
    """A change of jobs. `notice` names what is said after it, `asked` what it needs to know.

    One that is `grave` asks before it is made, also of jobs that were chosen one by one.
    """

    name: str
    label: str
    states: frozenset[JobState]
    notice: str
    asked: Asked | None = None
    grave: bool = False

    @property
    def asks(self) -> bool:
        """True if it is made after a question only."""
        return self.grave or self.asked is not None


CHANGES = {
    one.name: one
    for one in (
        BulkChange("retry", "Retry", ENDED_BADLY, "retried"),
        BulkChange("run-now", "Run now", WAITING, "run-now"),
        BulkChange("cancel", "Cancel", LIVE, "cancelled"),
        BulkChange(
            "reschedule",
            "Reschedule",
            WAITING,
            "rescheduled",
            Asked("delay", "Seconds from now", 0, LONGEST_SECONDS),
        ),
        BulkChange(
            "reprioritize",
            "Change priority of",
            WAITING,
            "reprioritized",
            Asked(
                "priority", "Priority; a lower number is more urgent", -MAX_PRIORITY, MAX_PRIORITY
            ),
        ),
        BulkChange("drop", "Drop", FINAL, "dropped", grave=True),
    )
}


def change_named(name: str) -> BulkChange:
    """Return a change; raises Refusal if there is none of that name."""
    if name not in CHANGES:
        raise Refusal(400, f"There is no action {name!r}; the actions are {', '.join(CHANGES)}.")
    return CHANGES[name]


def make(visit: Visit, change: BulkChange, ids: Sequence[str]) -> tuple[int, list[str]]:
    """Change jobs; return how many were changed, and which, as far as that is known."""
    queue = visit.site.queue
    if change.name == "drop":
        dropped = queue.drop(ids)
        return dropped, list(ids) if dropped else []
    if change.name == "retry":
        retry = queue.store.retry
        done = [live is not None for batch in in_batches(ids) for live in retry(batch)]
    elif change.name == "cancel":
        done = queue.cancel(ids)
    elif change.name == "run-now":
        done = queue.run_now(ids)
    elif change.name == "reschedule":
        done = queue.reschedule(ids, delay=number_of(visit, change))
    else:
        done = queue.reprioritize(ids, int(number_of(visit, change)))
    changed = [one for one, was in zip(ids, done, strict=True) if was]
    return len(changed), changed


def is_made(visit: Visit, change: BulkChange, record: JobRecord) -> bool:
    """Return True for a job that is as the change would make it, though it fits as before.

    Without those the same change, made again, comes to the jobs beyond the first that it took.
    """
    if change.name == "run-now":
        return record.run_at <= visit.now
    return change.name == "reprioritize" and record.priority == number_of(visit, change)


def number_of(visit: Visit, change: BulkChange) -> float:
    """Return the number that a change needs; raises Refusal for what is none."""
    asked = change.asked
    if asked is None:
        return 0.0
    said = visit.field(asked.name).strip()
    try:
        number = float(said)
    except ValueError:
        number = float("nan")
    whole = asked.name != "priority" or number == number // 1
    if not (asked.least <= number <= asked.most and whole):
        span = f"from {asked.least:,.0f} to {asked.most:,.0f}"
        raise Refusal(400, f"{asked.name} is {said!r}; it must be a number {span}.")
    return number
