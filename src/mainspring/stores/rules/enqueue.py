"""Unique and idempotency keys: the effect of enqueuing a batch of jobs that may bear them.

A store reads which of a batch's keys are in use, asks for the plan, and writes what it says. A
batch that is refused is refused before anything is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from mainspring.errors import DuplicateJob
from mainspring.model.job import NewJob  # the type of a Struct's field
from mainspring.model.unique import words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mainspring.stores.clock import Moment

IDEMPOTENT_SECONDS = 86_400.0
"""Seconds for which an idempotency key holds."""

Answer = str | int
"""The id of a job that is there, or a place in `EnqueuePlan.inserted`."""


class LiveJob(Protocol):
    """A live job that bears a unique key, as far as one that meets it needs to know."""

    @property
    def id(self) -> str:
        """The public id."""
        ...

    @property
    def running(self) -> bool:
        """True if a node holds it."""
        ...


class EnqueuePlan(Struct, frozen=True):
    """The changes of a batch, and the answer for each of its jobs.

    `replaced` holds what live jobs are given, by unique key: payload, priority, delay, expiry
    and options.
    `remembered` holds the answers that idempotency keys stand for from now on.
    """

    answers: list[Answer]
    inserted: list[NewJob]
    replaced: dict[str, NewJob]
    remembered: dict[str, Answer]

    def ids(self, inserted: Sequence[str]) -> list[str]:
        """Return the id for each job of the batch, by the ids of the inserted ones."""
        return [answer_in(answer, inserted) for answer in self.answers]

    def memories(self, inserted: Sequence[str]) -> dict[str, str]:
        """Return the id for each idempotency key to remember, by the ids of the inserted ones."""
        return {key: answer_in(answer, inserted) for key, answer in self.remembered.items()}


def answer_in(answer: Answer, inserted: Sequence[str]) -> str:
    """Return the id that an answer means."""
    return answer if isinstance(answer, str) else inserted[answer]


def is_keyed(jobs: Iterable[NewJob]) -> bool:
    """Return whether any has a key, an expiry or options of its own; plain jobs need no plan."""
    for job in jobs:  # each enqueuing asks this, and `any` costs twice as much
        if job.unique is not None or job.idempotency_key is not None or job.expires is not None:
            return True
        if job.options is not None:
            return True
    return False


def unique_keys(jobs: Iterable[NewJob]) -> list[str]:
    """Return the unique keys of a batch, each once: a store looks for the live jobs of these."""
    return list(dict.fromkeys([job.unique for job in jobs if job.unique is not None]))


def idempotency_keys(jobs: Iterable[NewJob]) -> list[str]:
    """Return the idempotency keys of a batch, each once."""
    keys = [job.idempotency_key for job in jobs if job.idempotency_key is not None]
    return list(dict.fromkeys(keys))


def expires_at(new: NewJob, moment: Moment) -> int | None:
    """Return the stored time after which a new job may not start; None: it always may."""
    return None if new.expires is None else moment.after(new.expires)


def plan_enqueue(
    jobs: Sequence[NewJob], answered: Mapping[str, str], live: Mapping[str, LiveJob]
) -> EnqueuePlan:
    """Return the plan of a batch whose jobs meet each other in order.

    `answered` holds the ids that idempotency keys stand for, `live` the live jobs by unique key.
    Raises `DuplicateJob`.
    """
    planning = _Planning(answered, live)
    for new in jobs:
        planning.add(new)
    return planning.plan


class _Planning:
    def __init__(self, answered: Mapping[str, str], live: Mapping[str, LiveJob]) -> None:
        self._answered = answered
        self._live = live
        self._made: dict[str, int] = {}
        self.plan = EnqueuePlan([], [], {}, {})

    def add(self, new: NewJob) -> None:
        answer = self._known(new.idempotency_key)
        if answer is None:
            answer = self._insert(new) if new.unique is None else self._meet(new, new.unique)
            if new.idempotency_key is not None:
                self.plan.remembered[new.idempotency_key] = answer
        self.plan.answers.append(answer)

    def _known(self, idempotency_key: str | None) -> Answer | None:
        if idempotency_key is None:
            return None
        return self.plan.remembered.get(idempotency_key, self._answered.get(idempotency_key))

    def _insert(self, new: NewJob) -> int:
        self.plan.inserted.append(new)
        return len(self.plan.inserted) - 1

    def _meet(self, new: NewJob, unique: str) -> Answer:
        live, made = self._live.get(unique), self._made.get(unique)
        if live is not None:
            if is_replaced(new, unique, job_id=live.id, running=live.running):
                self.plan.replaced[unique] = new
            return live.id
        if made is not None:
            if is_replaced(new, unique, job_id=None, running=False):
                self.plan.inserted[made] = replaced_by(self.plan.inserted[made], new)
            return made
        return self._made.setdefault(unique, self._insert(new))


def is_replaced(new: NewJob, unique: str, *, job_id: str | None, running: bool) -> bool:
    """Return whether a live job of the same unique key is given what the new one says, or stays.

    `job_id` is None for one of the same batch. Raises `DuplicateJob`.
    """
    if new.on_conflict == "raise":
        raise DuplicateJob(words_of(unique), job_id, "already")
    if new.on_conflict == "replace" and running:
        raise DuplicateJob(words_of(unique), job_id, "and runs, so it can't be replaced")
    return new.on_conflict == "replace"


def replaced_by(waiting: NewJob, new: NewJob) -> NewJob:
    """Return a job of the same batch with what a later one gives it."""
    return replace(
        waiting,
        payload=new.payload,
        priority=new.priority,
        delay=new.delay,
        expires=new.expires,
        options=new.options,
    )
