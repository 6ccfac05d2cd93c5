"""A random walk over a store's verbs, compared with a model at every step. Needs hypothesis.

class MyMachine(StoreMachine):
    def make_store(self, clock):
        return MyStore(clock=clock)

TestMyStoreAtRandom = MyMachine.TestCase
"""
# ruff: noqa: S101, D102
# A state machine checks by asserts, and a rule's name is its docstring.

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from mainspring.errors import DuplicateJob, LeaseLost
from mainspring.model.job import JobState
from mainspring.model.note import Note
from mainspring.testing.clock import FrozenClock
from mainspring.testing.store_check import StoreCheck
from mainspring.testing.store_draws import (
    EVERYTHING,
    QUEUES,
    TASKS,
    ages,
    batches,
    jumps,
    outcomes_among,
    payloads,
    waits,
    wants,
)
from mainspring.testing.store_model import ModelJob, StoreModel
from mainspring.testing.timetable_model import NAMES, TimetableModel, rules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.model.job import Claim, NewJob, Outcome, Want
    from mainspring.protocols import JobStore

LEASE = 15.0
MOST_JOBS = 8
"""Few, so that the walk meets the same job again and again."""

UNKNOWN = "1000000-00000009"


class StoreMachine(RuleBasedStateMachine):
    """Enqueue, claim, finish, lose; cancel, retry, drop; pause, tick, wait, purge, reopen."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FrozenClock()
        self.latest = self.clock.now()
        self.model = StoreModel()
        self.timetable = TimetableModel()
        self.claims: dict[tuple[str, int], Claim] = {}
        self.store = self.make_store(self.clock)
        self.check = StoreCheck(self.model, self.timetable)

    def make_store(self, clock: FrozenClock) -> JobStore:
        """Return an empty store over the clock."""
        raise NotImplementedError

    def reopen_store(self) -> JobStore:
        """Return the store as a new process would find it."""
        return self.store

    def teardown(self) -> None:
        self.store.close()

    @initialize(jobs=batches)
    def begin(self, jobs: list[NewJob]) -> None:
        self.join()
        self.enqueue(jobs)

    @precondition(lambda self: len(self.model.jobs) < MOST_JOBS)
    @rule(jobs=batches)
    def enqueue(self, jobs: list[NewJob]) -> None:
        jobs = [self.without_lapsed_key(job) for job in jobs]
        self.expect_kept(jobs, lambda: self.store.enqueue_many(jobs))

    def without_lapsed_key(self, new: NewJob) -> NewJob:
        """Leave out an idempotency key that was over once, and is not since the clock jumped back.

        A store may have forgotten it, or not.
        """
        until, _ = self.model.answers.get(new.idempotency_key or "", (0.0, None))
        lapsed = self.clock.now() < until <= self.latest
        return replace(new, idempotency_key=None) if lapsed else new

    def expect_kept(self, jobs: Sequence[NewJob], keep: Callable[[], list[str] | None]) -> bool:
        """Expect that jobs are kept or refused as in the model; return whether they were kept."""
        told = told_by(keep)
        expected = self.model.enqueue(jobs, self.clock.now())
        if isinstance(expected, ModelJob):
            assert isinstance(told, DuplicateJob)
            assert told.job_id == expected.id
            return False
        assert isinstance(told, list)
        for job, job_id in zip(expected, told, strict=True):
            assert job.id in {None, job_id}
            job.id = job_id
        return True

    @precondition(lambda self: len(self.model.nodes) < len(TASKS))
    @rule()
    def join(self) -> None:
        node = self.store.join("node", host="host", pid=1, lease=LEASE)
        assert node not in self.model.nodes
        self.model.nodes[node] = self.clock.now() + LEASE

    @precondition(lambda self: self.model.nodes)
    @rule(data=st.data(), asked=st.lists(wants, min_size=1, max_size=2))
    def exchange(self, data: st.DataObject, asked: list[Want]) -> None:
        node = self.draw_node(data)
        outcomes = data.draw(self.outcomes_of(node), "outcomes")
        expected = [self.expect(node, outcome) for outcome in outcomes]
        exchanged = self.store.exchange(node, outcomes, asked)
        assert exchanged.accepted == expected
        assert exchanged.next_due == self.model.promote(asked, self.clock.now())
        self.expect_claims(node, asked, exchanged.claims)

    def draw_node(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.model.nodes)), "node")

    def draw_jobs(self, data: st.DataObject) -> dict[str, ModelJob | None]:
        """Draw ids of jobs that are there, gone, or never were."""
        there = [job.id for job in self.model.jobs if job.id is not None]
        drawn = st.sampled_from([*there, *there, *self.model.gone[-2:], UNKNOWN])
        job_ids = data.draw(st.lists(drawn, min_size=1, max_size=3, unique=True), "jobs")
        return {job_id: self.model.known(job_id) for job_id in job_ids}

    def outcomes_of(self, node: int) -> st.SearchStrategy[list[Outcome]]:
        """Draw outcomes: of what the node holds, of earlier claims of that, of any claim ever."""
        held = {job.id: job.fence for job in self.model.held(node)}
        claims = [claim for _, claim in sorted(self.claims.items())]
        current = [claim for claim in claims if held.get(claim.id) == claim.fence]
        stale = [claim for claim in claims if held.get(claim.id, 0) > claim.fence]
        return outcomes_among([current, stale, claims])

    def expect(self, node: int, outcome: Outcome) -> bool:
        """Tell the model of an outcome; return whether it ought to be accepted."""
        for job in self.model.held(node):
            if (self.claim_of(job).key, job.fence) == (outcome.key, outcome.fence):
                job.settle(outcome, self.clock.now())
                return True
        return False

    def claim_of(self, job: ModelJob) -> Claim:
        return self.claims[job.id or "", job.fence]

    def expect_claims(self, node: int, asked: Sequence[Want], claims: Sequence[Claim]) -> None:
        """Claims are what the model would give, in its order, each with a fence of its own."""
        expected: list[ModelJob] = []
        for want in asked:
            found = self.model.claimable(want)
            for job in found:
                self.model.claim(job, node)
            expected += found
        assert [claim.id for claim in claims] == [job.id for job in expected]
        for claim, job in zip(claims, expected, strict=True):
            assert (claim.attempt, claim.crashes) == (job.attempts + 1, job.crashes)
            assert (claim.task, claim.queue, claim.payload) == (job.task, job.queue, job.payload)
            assert claim.expired == job.expired(self.clock.now())
            assert claim.fence >= job.fence
            job.fence = claim.fence
            self.claims[claim.id, claim.fence] = claim

    @precondition(lambda self: self.model.nodes)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        node = self.draw_node(data)
        self.store.leave(node)
        self.model.lose(node, (), self.clock.now())
        self.expect_gone(node)

    @precondition(lambda self: self.model.nodes)
    @rule(data=st.data(), dead=st.booleans(), known=st.booleans())
    def rescue(self, data: st.DataObject, *, dead: bool, known: bool) -> None:
        node = self.draw_node(data)
        begun = [job for job in self.model.held(node) if data.draw(st.booleans(), "begun")]
        self.lose(node, begun, dead=dead, known=known)

    @precondition(lambda self: self.model.nodes)
    @rule(data=st.data())
    def die_with_all_there_is(self, data: st.DataObject) -> None:
        node = self.draw_node(data)
        self.model.promote([EVERYTHING], self.clock.now())
        self.expect_claims(node, [EVERYTHING], self.store.claim(node, [EVERYTHING]))
        self.lose(node, self.model.held(node), dead=True, known=True)

    def lose(self, node: int, begun: list[ModelJob], *, dead: bool, known: bool) -> None:
        """Rescue a node's jobs from it."""
        grants = {(self.claim_of(job).key, job.fence) for job in begun}
        rescued = self.store.rescue(node, dead=dead, begun=grants if known else None)
        if not dead and self.model.nodes[node] > self.clock.now():
            assert rescued is None
            return
        assert rescued is not None
        held = self.model.held(node)
        self.model.lose(node, begun if known else held, self.clock.now())
        told = (rescued.requeued, rescued.failed, rescued.cancelled)
        states = (JobState.PENDING, JobState.FAILED, JobState.CANCELLED)
        for keys, state in zip(told, states, strict=True):
            assert sorted(keys) == sorted(
                self.claim_of(job).key for job in held if job.state is state
            )
        self.expect_gone(node)

    def expect_gone(self, node: int) -> None:
        """Expect that a node that has gone is refused, and can't be lost again."""
        assert self.store.rescue(node, dead=True, begun=None) is None
        assert self.store.renew(node, lease=LEASE) is None
        try:
            self.store.exchange(node, [], [EVERYTHING])
        except LeaseLost:
            return
        raise AssertionError("a node that has gone could claim")

    @precondition(lambda self: self.model.nodes)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        node = self.draw_node(data)
        renewed = self.store.renew(node, lease=LEASE)
        assert renewed is not None
        marked = [job for job in self.model.held(node) if job.cancelling]
        grants = sorted((self.claim_of(job).key, job.fence) for job in marked)
        assert sorted(renewed.cancel) == grants
        self.model.nodes[node] = self.clock.now() + LEASE

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        drawn = self.draw_jobs(data)
        expected = [self.model.cancel(job, self.clock.now()) for job in drawn.values()]
        assert self.store.cancel(list(drawn)) == expected

    @rule(data=st.data(), payload=st.none() | payloads)
    def retry(self, data: st.DataObject, payload: bytes | None) -> None:
        drawn = self.draw_jobs(data)
        expected = [self.model.retry(job, payload, self.clock.now()) for job in drawn.values()]
        assert self.store.retry(list(drawn), payload=payload) == expected

    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        drawn = self.draw_jobs(data)
        expected = self.model.drop([job for job in drawn.values() if job is not None])
        assert self.store.drop(list(drawn)) == expected

    @rule()
    def expire(self) -> None:
        assert self.store.expire(limit=1000) == self.model.expire(self.clock.now())

    @rule(queue=st.sampled_from(QUEUES))
    def pause(self, queue: str) -> None:
        assert self.store.pause(queue) == (queue not in self.model.paused)
        self.model.paused.add(queue)

    @rule(queue=st.sampled_from(QUEUES))
    def resume(self, queue: str) -> None:
        assert self.store.resume(queue) == (queue in self.model.paused)
        self.model.paused.discard(queue)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), progress=st.sampled_from([None, 0.25, 1.0]))
    def note(self, data: st.DataObject, progress: float | None) -> None:
        claims = [claim for _, claim in sorted(self.claims.items())]
        claim = data.draw(st.sampled_from(claims), "claim")
        text = data.draw(st.sampled_from(["one", "two"]), "text")
        line = (self.clock.monotonic(), text)
        note = Note(claim.key, claim.fence, progress, message=text, lines=(line,))
        self.store.note_many([note])
        job = self.model.known(claim.id)
        if job is not None and job.fence == claim.fence:
            job.hear(note)

    @rule(name=st.sampled_from(NAMES), recurrence=rules)
    def declare(self, name: str, recurrence: str) -> None:
        self.store.declare([self.timetable.declare(name, recurrence, self.clock.now())])

    @precondition(lambda self: self.timetable.schedules and len(self.model.jobs) < MOST_JOBS)
    @rule(data=st.data(), jobs=batches, stale=st.booleans())
    def tick(self, data: st.DataObject, jobs: list[NewJob], *, stale: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.timetable.schedules)), "name")
        jobs = [self.without_lapsed_key(job) for job in jobs]
        last, to = self.timetable.step(name, stale=stale)

        def tick() -> list[str] | None:
            return self.store.tick(name, last=last, to=to, jobs=jobs)

        if stale or self.timetable.schedules[name].paused:
            assert tick() is None
        elif self.expect_kept(jobs, tick):
            self.timetable.schedules[name].last = to
            assert tick() is None

    @rule(name=st.sampled_from(NAMES))
    def pause_schedule(self, name: str) -> None:
        assert self.store.pause_schedule(name) == self.timetable.pause(name)

    @rule(name=st.sampled_from(NAMES))
    def resume_schedule(self, name: str) -> None:
        told = self.store.resume_schedule(name)
        assert told == self.timetable.resume(name, self.clock.now())

    @rule(name=st.sampled_from(NAMES))
    def forget_schedule(self, name: str) -> None:
        assert self.store.forget_schedule(name) == self.timetable.forget(name)

    @rule(seconds=waits)
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.latest = max(self.latest, self.clock.now())

    @rule(seconds=jumps)
    def jump(self, seconds: float) -> None:
        self.clock.jump(seconds)
        self.latest = max(self.latest, self.clock.now())

    @rule(completed_after=ages, failed_after=ages)
    def purge(self, completed_after: float, failed_after: float) -> None:
        ages = {"completed_after": completed_after, "failed_after": failed_after}
        expected = self.model.purge(self.clock.now(), **ages)
        assert self.store.purge(**ages, limit=1000) == expected

    @rule()
    def reopen(self) -> None:
        self.store = self.reopen_store()
        self.check.everything(self.store, self.clock.now())

    @invariant()
    def the_store_is_as_the_model(self) -> None:
        self.check.after_a_step(self.store, self.clock.now())


def told_by(keep: Callable[[], list[str] | None]) -> list[str] | DuplicateJob | None:
    """Return the ids that a store gives, or its refusal."""
    try:
        return keep()
    except DuplicateJob as refused:
        return refused
