"""Test data of the contracts: jobs, wants, outcomes, schedules. Needs no other package."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mainspring.model.job import Claim, Failure, NewJob, Outcome, OutcomeKind, Want
from mainspring.model.timetable import NewSchedule, RuleText

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.timetable import ScheduleRecord
    from mainspring.model.view import JobRecord
    from mainspring.protocols import JobStore, Store

LEASE = 15.0
MINUTE = timedelta(minutes=1)
BROKEN = Failure(type="builtins.ValueError", message='"quoted"\nand broken', traceback="Traceback")


def new_job(task: str = "task", queue: str = "queue", **options: object) -> NewJob:
    """Return a job to enqueue, with a payload that has to survive as it is."""
    fields = {"payload": '[["ä\\n", 1.50, {"b": null}], {}]'.encode(), **options}
    return NewJob(task=task, queue=queue, **fields)  # type: ignore[arg-type]  # options of NewJob


def want(
    *tasks: str,
    queues: tuple[str, ...] | None = None,
    limit: int = 100,
    suspects: int | None = None,
) -> Want:
    """Return a wish for jobs of these tasks."""
    return Want(tasks=tasks or ("task",), queues=queues, limit=limit, suspects=suspects)


def join(store: Store, name: str = "node") -> int:
    """Add a node with the usual lease."""
    return store.join(name, host="host", pid=1, lease=LEASE)


def outcome(claim: Claim, kind: OutcomeKind = OutcomeKind.COMPLETED, **options: object) -> Outcome:
    """Return an outcome of a claim."""
    fields: dict[str, object] = {"result": b"42"} if kind is OutcomeKind.COMPLETED else {}
    fields |= {"key": claim.key, "fence": claim.fence, "kind": kind} | options
    return Outcome(**fields)  # type: ignore[arg-type]  # options of Outcome


def enqueue(store: Store, task: str = "task", queue: str = "queue", **options: object) -> str:
    """Enqueue one job; return the id that the store gave."""
    (job_id,) = store.enqueue_many([new_job(task, queue, **options)])
    return job_id


def start(store: JobStore, job_id: str) -> tuple[int, Claim]:
    """Let a new node claim the jobs that are first in line until it has that one.

    Return the node and its claim; the other jobs go back.
    """
    node = join(store)
    mine: list[Claim] = []
    others: list[Claim] = []
    while not mine:
        claims = store.claim(node, [want(limit=1)])
        if not claims:
            raise AssertionError(f"job {job_id} can't be claimed")
        (mine if claims[0].id == job_id else others).extend(claims)
    store.finish_many(node, [outcome(claim, OutcomeKind.RELEASED) for claim in others])
    return node, mine[0]


def end(
    store: JobStore, job_id: str, kind: OutcomeKind = OutcomeKind.COMPLETED, **options: object
) -> None:
    """Let a new node run the job to that outcome."""
    node, claim = start(store, job_id)
    if store.finish_many(node, [outcome(claim, kind, **options)]) != [True]:
        raise AssertionError(f"the outcome of job {job_id} was refused")


def found(store: JobStore, job_id: str) -> JobRecord:
    """Return a job's record, which must exist."""
    record = store.get(job_id)
    if record is None:
        raise AssertionError(f"job {job_id} is not in the store")
    return record


def ids(claims: Sequence[Claim]) -> list[str]:
    """Return the ids of claims."""
    return [claim.id for claim in claims]


def held(store: JobStore) -> int:
    """Return how many jobs there are."""
    return sum(sum(states.values()) for states in store.stats().values())


def schedule(name: str = "s", every: float = 60.0, **options: object) -> NewSchedule:
    """Return a schedule to declare."""
    fields = {"task": "task", "queue": "queue", "payload": b"[[],{}]", **options}
    return NewSchedule(name=name, rule=RuleText(every=every), **fields)  # type: ignore[arg-type]  # of NewSchedule


def kept(store: JobStore, name: str = "s") -> ScheduleRecord:
    """Return a schedule, which must exist."""
    (record,) = [one for one in store.schedules().schedules if one.new.name == name]
    return record


def tick(store: JobStore, *, jobs: int = 1, name: str = "s") -> list[str] | None:
    """Tick the next minute of a schedule."""
    last = kept(store, name).last_tick
    return store.tick(name, last=last, to=last + MINUTE, jobs=[new_job()] * jobs)
