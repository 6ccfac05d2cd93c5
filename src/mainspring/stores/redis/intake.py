"""New jobs on their way in: one script a batch, which can be sent again without a second job."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from mainspring.errors import DuplicateJob
from mainspring.model.job import JobState
from mainspring.stores.clock import MICROS
from mainspring.stores.job_id import new_nonce
from mainspring.stores.rules.enqueue import (
    EnqueuePlan,
    idempotency_keys,
    is_keyed,
    plan_enqueue,
    unique_keys,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.model.job import NewJob


UNKNOWN = "?"
"""Stands where nobody knows whether a key is in use; the store's answer never is that."""

InUse = tuple[dict[str, str], dict[str, str]]
"""Unique keys with '<id> <state>' of who bears each, idempotency keys with ids; '' for none."""


class Caller(Struct):
    """One of those whose last call the store can answer again, as it answered first."""

    name: str
    number: int = 0


class BearerFacts(Struct, frozen=True):
    """The live job that bears a unique key."""

    id: str
    running: bool


class Callers:
    """The callers that make no call just now."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._idle: deque[Caller] = deque()

    def take(self) -> Caller:
        """Return a caller, whose number is that of the call to make."""
        if self._process != os.getpid():
            # A forked child: its calls would be taken for those of its parent.
            self._process, self._idle = os.getpid(), deque()
        try:
            caller = self._idle.pop()
        except IndexError:
            caller = Caller(os.urandom(8).hex())
        caller.number += 1
        return caller

    def give(self, caller: Caller) -> None:
        """Accept a caller back, whose call was answered."""
        self._idle.append(caller)


class BatchIntake:
    """Keeps new jobs. `run` runs a script and returns its answer."""

    def __init__(self, run: Callable[..., Any]) -> None:
        self._run = run
        self.callers = Callers()

    def enqueue(
        self, jobs: Sequence[NewJob], tick: tuple[str, str, str] | None = None
    ) -> list[str] | None:
        """Keep jobs and return their ids in order; raises DuplicateJob.

        With a tick (a schedule, its text, and its new text) only if the text is as it says; None
        if it is not.
        """
        if not is_keyed(jobs):  # most are not
            if len(jobs) == 1 and tick is None:
                return [self._keep_one(jobs[0])]
            plan = EnqueuePlan(list(range(len(jobs))), list(jobs), {}, {})
            return self._keep(plan, nothing_in_use(()), tick)
        believed, seen = nothing_in_use(jobs), False
        while True:
            try:
                return self._keep(plan_by(jobs, believed), believed, tick)
            except Mistaken as error:
                believed, seen = renewed(believed, error.actual), True
            except DuplicateJob:
                if seen:
                    raise
                # Of a batch whose jobs meet each other: a live job may be in the way of both.
                believed = renewed(believed, [[UNKNOWN] * len(known) for known in believed])

    def _keep_one(self, new: NewJob) -> str:
        nonce = f"{new_nonce():08x}"
        caller = self.callers.take()
        key = self._run(
            "enqueue_one",
            caller.name,
            caller.number,
            nonce,
            new.queue,
            new.task,
            new.priority,
            int(new.delay * MICROS),
            new.payload.decode(),
        )
        self.callers.give(caller)
        return f"{key}-{nonce}"

    def _keep(
        self,
        plan: EnqueuePlan,
        believed: InUse,
        tick: tuple[str, str, str] | None,
    ) -> list[str] | None:
        nonces = [f"{new_nonce():08x}" for _ in plan.inserted]
        caller = self.callers.take()
        first = self._run(
            "enqueue",
            (caller.name, caller.number),
            [part for known in believed for part in (list(known), list(known.values()))],
            tick or False,
            [row_of(nonce, new) for nonce, new in zip(nonces, plan.inserted, strict=True)],
            [replacement_of(unique, new) for unique, new in plan.replaced.items()],
            # Lua counts from 1.
            [
                (key, one if isinstance(one, str) else one + 1)
                for key, one in plan.remembered.items()
            ],
        )
        self.callers.give(caller)
        if first is False:
            return None
        if isinstance(first, list):
            raise Mistaken(first)
        return plan.ids([f"{first + place}-{nonce}" for place, nonce in enumerate(nonces)])


def nothing_in_use(jobs: Sequence[NewJob]) -> InUse:
    """Return the keys of a batch, none of which is in use."""
    return dict.fromkeys(unique_keys(jobs), ""), dict.fromkeys(idempotency_keys(jobs), "")


def renewed(believed: InUse, actual: Sequence[Sequence[str]]) -> InUse:
    """Return the same keys as they are in use."""
    uniques, answers = believed
    return dict(zip(uniques, actual[0], strict=True)), dict(zip(answers, actual[1], strict=True))


def plan_by(jobs: Sequence[NewJob], believed: InUse) -> EnqueuePlan:
    """Return the plan of a batch; an empty one that asks how the keys are in use."""
    uniques, answers = believed
    if UNKNOWN in uniques.values():
        return EnqueuePlan([], [], {}, {})
    live = {unique: bearer_of(text) for unique, text in uniques.items() if text}
    return plan_enqueue(jobs, {key: job_id for key, job_id in answers.items() if job_id}, live)


class Mistaken(Exception):
    """The keys of a batch are not in use as they were believed to be; `actual` is how they are."""

    def __init__(self, actual: list[list[str]]) -> None:
        super().__init__()
        self.actual = actual


def bearer_of(text: str) -> BearerFacts:
    """Return the bearer of a unique key, of the text by which a script knows it."""
    job_id, _, state = text.partition(" ")
    return BearerFacts(job_id, state == JobState.RUNNING)


def row_of(nonce: str, new: NewJob) -> tuple[object, ...]:
    """Return a new job as the script takes it."""
    return (
        nonce,
        new.queue,
        new.task,
        new.priority,
        int(new.delay * MICROS),
        new.payload.decode(),
        False if new.unique is None else new.unique,
        age_of(new.expires),
        options_of(new),
    )


def replacement_of(unique: str, new: NewJob) -> tuple[object, ...]:
    """Return what a waiting job is given, as the script takes it."""
    delay = int(new.delay * MICROS)
    payload = new.payload.decode()
    return unique, new.priority, delay, payload, age_of(new.expires), options_of(new)


def options_of(new: NewJob) -> str | bool:
    """Return a job's options as a script takes them; False for none."""
    return False if new.options is None else new.options.decode()


def age_of(seconds: float | None) -> int:
    """Return a time as a script takes it; -1 for none."""
    return -1 if seconds is None else int(seconds * MICROS)
