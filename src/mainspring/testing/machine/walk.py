"""The random walk over a store: store, clock and model, and the checks after each step.

Knows nothing of which step follows which. Needs hypothesis.
"""
# ruff: noqa: S101, D102
# A walk checks by asserts.

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from msgspec.structs import replace

from mainspring.errors import DuplicateJob, LeaseLost
from mainspring.model.job import JobState
from mainspring.testing.clock import FrozenClock
from mainspring.testing.machine.check import StoreCheck
from mainspring.testing.machine.draws import EVERYTHING, WAITS_AGAIN, outcomes_among
from mainspring.testing.machine.model import ModelJob, StoreModel
from mainspring.testing.machine.timetable import TimetableModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.model.job import Claim, NewJob, Outcome, Want
    from mainspring.protocols import JobStore

LEASE = 15.0
UNKNOWN = "1000000-00000009"


class StoreWalk(RuleBasedStateMachine):
    """A store and its model, side by side."""

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

    def join(self) -> None:
        node = self.store.join("node", host="host", pid=1, lease=LEASE)
        assert node not in self.model.nodes
        self.model.nodes[node] = self.clock.now() + LEASE

    def draw_node(self, data: st.DataObject) -> int:
        if not self.model.nodes:
            self.join()
        return data.draw(st.sampled_from(sorted(self.model.nodes)), "node")

    def draw_jobs(
        self, data: st.DataObject, likely: Sequence[ModelJob] = ()
    ) -> dict[str, ModelJob | None]:
        """Draw ids of jobs that are likely, there, gone, or never were."""
        there = [job.id for job in (*likely, *likely, *self.model.jobs) if job.id is not None]
        drawn = st.sampled_from([*there, *self.model.gone[-1:], UNKNOWN])
        job_ids = data.draw(st.lists(drawn, min_size=1, max_size=2, unique=True), "jobs")
        return {job_id: self.model.known(job_id) for job_id in job_ids}

    def outcomes_of(self, node: int) -> st.SearchStrategy[list[Outcome]]:
        """Draw outcomes: of what the node holds, of earlier claims of that, of any claim ever."""
        held = {job.id: job.fence for job in self.model.held(node)}
        claims = [claim for _, claim in sorted(self.claims.items())]
        current = [claim for claim in claims if held.get(claim.id) == claim.fence]
        stale = [claim for claim in claims if held.get(claim.id, 0) > claim.fence]
        return outcomes_among([current, stale, claims])

    def expect(self, node: int, outcome: Outcome) -> bool:
        """Apply an outcome to the model; return whether it ought to be accepted."""
        for job in self.model.held(node):
            if (self.claim_of(job).key, job.fence) == (outcome.key, outcome.fence):
                job.settle(outcome, self.clock.now())
                return True
        return self.is_recorded(node, outcome)

    def is_recorded(self, node: int, outcome: Outcome) -> bool:
        """Return True if the outcome is on record already, and its answer may have been lost."""
        claims = (claim for claim in self.claims.values() if claim.key == outcome.key)
        jobs = {job for claim in claims if (job := self.model.known(claim.id)) is not None}
        words = [job.recorded.get((node, outcome.fence)) for job in jobs]
        cancelled = outcome.kind in WAITS_AGAIN and JobState.CANCELLED.value in words
        return outcome.kind.value in words or cancelled

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
            assert claim.options == job.options
            assert claim.expired == job.expired(self.clock.now())
            assert claim.fence >= job.fence
            assert (claim.id, claim.fence) not in self.claims
            job.fence = claim.fence
            self.claims[claim.id, claim.fence] = claim

    def without_lapsed_key(self, new: NewJob) -> NewJob:
        """Leave out an idempotency key that was over once, and is not since the clock jumped back.

        A store may have forgotten it, or not.
        """
        until, _ = self.model.answers.get(new.idempotency_key or "", (0.0, None))
        lapsed = self.clock.now() < until <= self.latest
        return replace(new, idempotency_key=None) if lapsed else new

    def expect_kept(self, jobs: Sequence[NewJob], keep: Callable[[], list[str] | None]) -> bool:
        """Expect that jobs are kept or refused as in the model; return whether they were kept."""
        answer = answer_of(keep)
        expected = self.model.enqueue(jobs, self.clock.now())
        if isinstance(expected, ModelJob):
            assert isinstance(answer, DuplicateJob)
            assert answer.job_id == expected.id
            return False
        assert isinstance(answer, list)
        for job, job_id in zip(expected, answer, strict=True):
            assert job.id in {None, job_id}
            job.id = job_id
        return True

    def expect_cancelled(self, drawn: dict[str, ModelJob | None]) -> None:
        expected = [self.model.cancel(job, self.clock.now()) for job in drawn.values()]
        assert self.store.cancel(list(drawn)) == expected

    def renew(self, node: int) -> None:
        renewed = self.store.renew(node, lease=LEASE)
        assert renewed is not None
        marked = [job for job in self.model.held(node) if job.cancelling]
        grants = sorted((self.claim_of(job).key, job.fence) for job in marked)
        assert sorted(renewed.cancel) == grants
        self.model.nodes[node] = self.clock.now() + LEASE

    def claim_everything(self, node: int) -> None:
        self.renew(node)
        self.model.promote([EVERYTHING], self.clock.now())
        self.expect_claims(node, [EVERYTHING], self.store.claim(node, [EVERYTHING]))

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
        answer = (rescued.requeued, rescued.failed, rescued.cancelled)
        states = (JobState.PENDING, JobState.FAILED, JobState.CANCELLED)
        for keys, state in zip(answer, states, strict=True):
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


def answer_of(keep: Callable[[], list[str] | None]) -> list[str] | DuplicateJob | None:
    """Return the ids that a store gives, or its refusal."""
    try:
        return keep()
    except DuplicateJob as refused:
        return refused
