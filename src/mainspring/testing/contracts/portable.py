"""Contract of a store that gives all it holds to another, and takes that over. Needs pytest."""
# ruff: noqa: S101, D102
# A contract is made of asserts, and a test's name is its docstring.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from mainspring.model.job import FINAL, JobState, OutcomeKind
from mainspring.model.job_options import JobOptions
from mainspring.model.note import Note
from mainspring.model.stored_job import Arrival, StoredAnswer, StoreMarks
from mainspring.model.view import JobFilter
from mainspring.stores.memory import MemoryStore
from mainspring.testing.contracts.cases import (
    BROKEN,
    LEASE,
    end,
    enqueue,
    found,
    ids,
    join,
    kept,
    new_job,
    outcome,
    schedule,
    start,
    tick,
    want,
)

if TYPE_CHECKING:
    from mainspring.model.stored_job import StoredJob
    from mainspring.protocols import JobStore
    from mainspring.testing.clock import FrozenClock

TAGGED = b'{"tags":["eu","vip"],"metadata":{"shop":7}}'
DAY = 86_400


def fill(store: JobStore, clock: FrozenClock) -> None:
    """Keep a job in each state that a job which does not run can be in."""
    crash(store, clock)
    for kind, fields in (
        (OutcomeKind.COMPLETED, {"result": '{"ä":"\\u0000"}'.encode()}),
        (OutcomeKind.COMPLETED, {"keep": 7 * DAY}),
        (OutcomeKind.FAILED, {"failure": BROKEN}),
        (OutcomeKind.RETRY, {"failure": BROKEN, "delay": 30.0}),
        (OutcomeKind.SNOOZED, {"delay": 0.0}),
        (OutcomeKind.RELEASED, {}),
    ):
        end(store, enqueue(store), kind, **fields)
        clock.advance(1)
    cancel(store)
    speak(store, clock)
    revived = enqueue(store)
    end(store, revived, OutcomeKind.FAILED, failure=BROKEN)
    store.retry([revived])
    enqueue(store, priority=-3)
    enqueue(store, delay=60.0)
    enqueue(store, "other", "größer")
    enqueue(store, unique='["task","key","a"]', expires=100.0, options=TAGGED)
    end(store, enqueue(store, unique='["task","key","b"]'))


def crash(store: JobStore, clock: FrozenClock) -> None:
    """Keep a job whose node was lost."""
    enqueue(store)
    node = store.join("lost", host="host", pid=1, lease=LEASE)
    store.claim(node, [want()])
    clock.advance(1)
    store.rescue(node, dead=True, begun=None)


def cancel(store: JobStore) -> None:
    """Keep two jobs that were cancelled, one of which had run."""
    store.cancel([enqueue(store)])
    job_id = enqueue(store, priority=-9)
    node, claim = start(store, job_id)
    store.cancel([job_id])
    store.finish_many(node, [outcome(claim, OutcomeKind.RETRY, failure=BROKEN)])


def speak(store: JobStore, clock: FrozenClock) -> None:
    """Keep a job whose body has said something."""
    node, claim = start(store, enqueue(store, priority=-9))
    lines = tuple((clock.monotonic(), text) for text in ("first", "größer\nsecond"))
    store.note_many([Note(claim.key, claim.fence, 0.25, "a quarter", lines)])
    store.finish_many(node, [outcome(claim, OutcomeKind.RETRY, failure=BROKEN, delay=5.0)])


def seen(store: JobStore) -> dict[str, Any]:
    """Return all that views show of jobs."""
    jobs = store.jobs(JobFilter(), limit=1000)
    tagged = store.jobs(JobFilter(tag="vip"))
    return {
        "jobs": jobs,
        "histories": {job.id: store.history(job.id) for job in jobs},
        "logs": {job.id: store.log(job.id) for job in jobs},
        "tagged": [job.id for job in tagged],
        "stats": {name: counts for name, counts in store.stats().items() if any(counts.values())},
    }


def all_jobs(store: JobStore, limit: int = 7) -> list[StoredJob]:
    """Return all jobs of a store, read in pages."""
    jobs: list[StoredJob] = []
    while page := store.export_jobs(after=jobs[-1].key if jobs else None, limit=limit):
        assert len(page) <= limit
        jobs += page
    return jobs


def all_answers(store: JobStore) -> dict[str, StoredAnswer]:
    """Return all idempotency keys of a store, read in pages."""
    page = store.export_answers(cursor=None, limit=2)
    answers = list(page.answers)
    while page.cursor is not None:
        page = store.export_answers(cursor=page.cursor, limit=2)
        answers += page.answers
    return {one.idempotency_key: one for one in answers}


def pending(store: JobStore) -> list[str]:
    """Return the ids of what waits, in the order in which a new node is given it."""
    return ids(store.claim(join(store), [want("task", "other", limit=1000)]))


class PortableContract:
    """All that a store holds can be taken over by another, and the other way round."""

    @pytest.fixture
    def other(self, clock: FrozenClock) -> MemoryStore:
        """Return a store of another kind over the same clock."""
        return MemoryStore(clock=clock)

    @pytest.mark.parametrize("outgoing", [True, False])
    def test_jobs_in_every_state_are_the_same_in_another_store(
        self, store: JobStore, other: MemoryStore, clock: FrozenClock, *, outgoing: bool
    ) -> None:
        source, target = (store, other) if outgoing else (other, store)
        fill(source, clock)
        jobs = all_jobs(source)
        assert set(target.import_jobs(jobs)) == {Arrival.KEPT}
        assert seen(target) == seen(source)
        assert [replace(one, unique=None) for one in all_jobs(target)] == [
            replace(one, unique=None) for one in jobs
        ]
        clock.advance(200)
        assert [len(one.expire(limit=100)) for one in (target, source)] == [1, 1]
        assert pending(target) == pending(source)
        purged = [
            one.purge(completed_after=60.0, failed_after=30.0 * DAY, limit=100)
            for one in (target, source)
        ]
        assert purged[0] == purged[1] > 0

    def test_what_is_there_stays_as_it_is(
        self, store: JobStore, other: MemoryStore, clock: FrozenClock
    ) -> None:
        fill(other, clock)
        jobs = all_jobs(other)
        store.import_jobs(jobs[:5])
        arrivals = store.import_jobs(jobs)
        assert arrivals[:5] == [Arrival.THERE] * 5
        assert set(arrivals[5:]) == {Arrival.KEPT}
        node, (claim, *_) = join(store), store.claim(join(store), [want(limit=1)])
        before = seen(store)
        assert set(store.import_jobs(jobs)) == {Arrival.THERE}
        assert seen(store) == before
        assert found(store, claim.id).state is JobState.RUNNING
        store.leave(node)

    def test_a_key_or_unique_key_that_is_taken_is_not_taken_away(
        self, store: JobStore, other: MemoryStore
    ) -> None:
        unique = '["task","key","a"]'
        first, second = enqueue(store), enqueue(store, unique=unique)
        other.raise_marks(StoreMarks(1, 0))
        jobs = [enqueue(other), enqueue(other, unique=unique), enqueue(other)]
        assert store.import_jobs(all_jobs(other)) == [
            Arrival.KEY_TAKEN,
            Arrival.UNIQUE_TAKEN,
            Arrival.KEPT,
        ]
        assert sorted(pending(store)) == sorted([first, second, jobs[-1]])
        assert enqueue(store, unique=unique) == second

    def test_a_unique_key_is_borne_on_and_free_once_its_job_has_ended(
        self, store: JobStore, other: MemoryStore
    ) -> None:
        job_id = enqueue(other, unique='["task","key","a"]')
        store.import_jobs(all_jobs(other))
        assert enqueue(store, unique='["task","key","a"]') == job_id
        end(store, job_id)
        assert enqueue(store, unique='["task","key","a"]') != job_id

    def test_a_long_unique_key_of_another_store_is_met_as_such(
        self, store: JobStore, other: MemoryStore
    ) -> None:
        unique = "ä" * 2000
        job_id = enqueue(other, unique=unique)
        assert store.import_jobs(all_jobs(other)) == [Arrival.KEPT]
        assert enqueue(store, unique=unique) == job_id
        store.raise_marks(StoreMarks(100, 0))
        (one,) = all_jobs(store)
        another = replace(one, key=50)
        assert store.import_jobs([another]) == [Arrival.UNIQUE_TAKEN]

    def test_new_jobs_and_locks_get_higher_numbers_than_those_that_were_given(
        self, store: JobStore, other: MemoryStore
    ) -> None:
        for _ in range(3):
            node = join(other)
            other.acquire(node, "a lock")
            other.leave(node)
            other.drop([enqueue(other)])
        job_id = enqueue(other)
        marks = other.marks()
        assert marks == StoreMarks(int(job_id.partition("-")[0]), 3)
        store.raise_marks(replace(marks, key=marks.key + 100))
        store.raise_marks(StoreMarks(0, 0))
        assert store.marks() == StoreMarks(marks.key + 100, 3)
        assert int(enqueue(store).partition("-")[0]) > marks.key + 100
        assert (store.acquire(join(store), "a lock") or 0) > marks.lock_fence

    def test_a_job_that_is_older_than_what_is_there_comes_before_it(
        self, store: JobStore, other: MemoryStore
    ) -> None:
        job_id = enqueue(other)
        store.raise_marks(StoreMarks(100, 0))
        later = enqueue(store)
        store.import_jobs(all_jobs(other))
        assert [job.id for job in store.jobs(JobFilter())] == [later, job_id]
        assert pending(store) == [job_id, later]

    @pytest.mark.parametrize("outgoing", [True, False])
    def test_idempotency_keys_stand_for_the_same_jobs_as_long_as_before(
        self, store: JobStore, other: MemoryStore, clock: FrozenClock, *, outgoing: bool
    ) -> None:
        source, target = (store, other) if outgoing else (other, store)
        job_ids = [enqueue(source, idempotency_key=f"größer {n}") for n in range(5)]
        source.cancel(job_ids[:1])
        source.drop(job_ids[:1])
        answers = all_answers(source)
        assert sorted(answers) == [f"größer {n}" for n in range(5)]
        target.import_answers(list(answers.values()))
        target.import_answers([replace(answers["größer 1"], nonce=1, until=1)])
        assert all_answers(target) == answers
        clock.advance(DAY - 1)
        assert [enqueue(target, idempotency_key=f"größer {n}") for n in range(2)] == job_ids[:2]
        clock.advance(2)
        assert enqueue(target, idempotency_key="größer 0") != job_ids[0]

    @pytest.mark.parametrize("outgoing", [True, False])
    def test_schedules_go_on_from_their_last_tick(
        self, store: JobStore, other: MemoryStore, clock: FrozenClock, *, outgoing: bool
    ) -> None:
        source, target = (store, other) if outgoing else (other, store)
        options = JobOptions(timeout=3.0, tags=("nightly",))
        whole = schedule("s", unique="u", expires=5.0, catch_up="all", options=options)
        source.declare([whole, schedule("t")])
        clock.advance(150)
        tick(source)
        source.pause_schedule("t")
        records = source.schedules().schedules
        assert target.import_schedules(records) == len(records)
        assert target.schedules().schedules == records
        assert tick(target)
        before = target.schedules().schedules
        assert target.import_schedules(records) == 0
        assert target.schedules().schedules == before
        assert kept(target, "t").paused

    def test_a_job_that_runs_is_given_as_such(self, store: JobStore) -> None:
        store.enqueue_many([new_job()])
        store.claim(join(store, "runner"), [want()])
        (one,) = all_jobs(store)
        assert (one.state, one.node, one.state in FINAL) == (JobState.RUNNING, "runner", False)
