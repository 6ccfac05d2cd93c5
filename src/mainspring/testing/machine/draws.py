"""Strategies of the random walk over a store: jobs, wants and outcomes. Needs hypothesis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from mainspring.model.job import Failure, NewJob, Outcome, OutcomeKind, Want
from mainspring.testing.machine.model import DAY

if TYPE_CHECKING:
    from collections.abc import Collection

    from mainspring.model.job import Claim

TASKS = ("a", "b")
QUEUES = ("x", "y")
FAILURE = Failure(type="builtins.ValueError", message="'broken'")
WAITS_AGAIN = frozenset(
    {OutcomeKind.RETRY, OutcomeKind.SNOOZED, OutcomeKind.RELEASED, OutcomeKind.CRASHED}
)
EVERYTHING = Want(tasks=TASKS, queues=None, limit=99)

JUMPS = (-3600.0, 3600.0)
"""Seconds by which the wall clock alone is set."""

TAGGED_TWICE = b'{"timeout":2.5,"tags":["t","u"]}'
payloads = st.sampled_from([b"[[1],{}]", b"[[2],{}]"])
plain_jobs = st.builds(
    NewJob,
    task=st.sampled_from(TASKS),
    queue=st.sampled_from(QUEUES),
    payload=payloads,
    unique=st.sampled_from([None, "k"]),
)
new_jobs = st.builds(
    NewJob,
    task=st.sampled_from(TASKS),
    queue=st.sampled_from(QUEUES),
    payload=payloads,
    priority=st.integers(-1, 1),
    delay=st.sampled_from([0.0, 0.0, 0.0, 1.0, 7.0]),
    unique=st.sampled_from([None, None, "k", "k", "l"]),
    on_conflict=st.sampled_from(["return_existing", "return_existing", "raise", "replace"]),
    idempotency_key=st.sampled_from([None, None, None, "i", "j"]),
    expires=st.sampled_from([None, None, 1.0, 6.0]),
    options=st.sampled_from([None, None, b'{"retries":1}', b'{"tags":["t"]}', TAGGED_TWICE]),
)
batches = st.lists(new_jobs, min_size=1, max_size=3)
wants = st.builds(
    Want,
    tasks=st.sampled_from([("a",), ("b",), TASKS]),
    queues=st.sampled_from([None, None, ("x",), QUEUES]),
    limit=st.integers(1, 4),
    suspects=st.sampled_from([None, None, 0, 1]),
)
kinds = st.sampled_from(list(OutcomeKind))
delays = st.sampled_from([0.0, 1.0, 6.0])
priorities = st.sampled_from([None, -1, 1])
LAST_CRASH = 6.0
"""The delay drawn for a failure that makes it the last crash of a job: a fourth draw costs time."""

keeps = st.sampled_from([None, None, 0.0, 5.0])
waits = st.sampled_from([1.0, 1.0, 6.0, 6.0, 20.0, 20.0, DAY, *JUMPS])
ages = st.sampled_from([0.0, 5.0])


def outcomes_among(pools: Collection[list[Claim]]) -> st.SearchStrategy[list[Outcome]]:
    """Draw outcomes of claims, from each pool as often as from another."""
    drawn = [st.sampled_from(pool) for pool in pools if pool]
    if not drawn:
        return st.just([])
    return st.lists(st.builds(made_outcome, st.one_of(drawn), kinds, delays, keeps), max_size=6)


def made_outcome(claim: Claim, kind: OutcomeKind, delay: float, keep: float | None) -> Outcome:
    """Return an outcome of a claim."""
    completed = kind is OutcomeKind.COMPLETED
    delayed = kind in WAITS_AGAIN - {OutcomeKind.RELEASED}
    return Outcome(
        key=claim.key,
        fence=claim.fence,
        kind=kind,
        result=b"1" if completed else None,
        failure=None if completed else FAILURE,
        delay=delay if delayed else 0.0,
        keep=keep,
        crashed=kind is OutcomeKind.FAILED and delay == LAST_CRASH,
    )
