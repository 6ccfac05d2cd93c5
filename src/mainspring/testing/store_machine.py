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

from mainspring.errors import LeaseLost
from mainspring.model.job import Failure, JobState, NewJob, Outcome, OutcomeKind, Want
from mainspring.testing.clock import FrozenClock
from mainspring.testing.store_model import StoreModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.job import Claim
    from mainspring.protocols import JobStore
    from mainspring.testing.store_model import ModelJob

TASKS = ("a", "b")
QUEUES = ("x", "y")
LEASE = 15.0
MOST_JOBS = 8
"""Few, so that the walk meets the same job again and again."""

FAILURE = Failure(type="builtins.ValueError", message="'broken'")

new_jobs = st.builds(
    NewJob,
    task=st.sampled_from(TASKS),
    queue=st.sampled_from(QUEUES),
    payload=st.just(b"[[1],{}]"),
    priority=st.integers(-1, 1),
    delay=st.sampled_from([0.0, 0.0, 0.0, 1.0, 7.0]),
)
wants = st.builds(
    Want,
    tasks=st.sampled_from([("a",), ("b",), TASKS]),
    queues=st.sampled_from([None, None, ("x",), QUEUES]),
    limit=st.integers(1, 4),
)
kinds = st.sampled_from(list(OutcomeKind))
delays = st.sampled_from([0.0, 1.0, 6.0])


class StoreMachine(RuleBasedStateMachine):
    """Enqueue, claim, finish, release, crash, leave, rescue, wait, purge, reopen."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FrozenClock()
        self.model = StoreModel()
        self.claims: dict[tuple[str, int], Claim] = {}
        self.last_fence: dict[str, int] = {}
        self.store = self.make_store(self.clock)

    def make_store(self, clock: FrozenClock) -> JobStore:
        """Return an empty store over the clock."""
        raise NotImplementedError

    def reopen_store(self) -> JobStore:
        """Return the store as a new process would find it."""
        return self.store

    def teardown(self) -> None:
        self.store.close()

    def nodes(self) -> list[int]:
        return sorted(self.model.nodes)

    @initialize(jobs=st.lists(new_jobs, min_size=1, max_size=3))
    def begin(self, jobs: list[NewJob]) -> None:
        self.join()
        self.enqueue(jobs)

    @precondition(lambda self: len(self.model.jobs) < MOST_JOBS)
    @rule(jobs=st.lists(new_jobs, min_size=1, max_size=3))
    def enqueue(self, jobs: list[NewJob]) -> None:
        for job_id, job in zip(self.store.enqueue_many(jobs), jobs, strict=True):
            self.model.enqueue(job_id, job, self.clock.now())

    @precondition(lambda self: len(self.model.nodes) < len(TASKS))
    @rule()
    def join(self) -> None:
        node = self.store.join("node", host="host", pid=1, lease=LEASE)
        self.model.nodes[node] = self.clock.now() + LEASE

    @precondition(lambda self: self.model.nodes)
    @rule(data=st.data(), asked=st.lists(wants, min_size=1, max_size=2))
    def exchange(self, data: st.DataObject, asked: list[Want]) -> None:
        node = data.draw(st.sampled_from(self.nodes()), "node")
        outcomes = data.draw(self.outcomes_of(node), "outcomes")
        expected = [self.expect(node, outcome) for outcome in outcomes]
        exchanged = self.store.exchange(node, outcomes, asked)
        assert exchanged.accepted == expected
        due = self.model.next_due(asked, self.clock.now())
        assert exchanged.next_due == due
        self.check_claims(node, asked, exchanged.claims)

    def outcomes_of(self, node: int) -> st.SearchStrategy[list[Outcome]]:
        """Draw outcomes: of what the node holds, of earlier claims of that, of any claim ever."""
        held = {job.id: job.fence for job in self.model.held(node)}
        claims = [claim for _, claim in sorted(self.claims.items())]
        if not claims:
            return st.just([])
        current = [claim for claim in claims if held.get(claim.id) == claim.fence]
        stale = [claim for claim in claims if held.get(claim.id, 0) > claim.fence]
        pools = [st.sampled_from(pool) for pool in (current, stale, claims) if pool]
        return st.lists(st.builds(made_outcome, st.one_of(pools), kinds, delays), max_size=6)

    def expect(self, node: int, outcome: Outcome) -> bool:
        """Tell the model of an outcome; return whether it ought to be accepted."""
        for job in self.model.held(node):
            claim = self.claims[job.id, job.fence]
            if (claim.key, claim.fence) == (outcome.key, outcome.fence):
                self.model.settle(job, outcome, self.clock.now())
                return True
        return False

    def check_claims(self, node: int, asked: Sequence[Want], claims: Sequence[Claim]) -> None:
        """Claims are what the model would give, in its order, each with a fence of its own."""
        expected: list[ModelJob] = []
        for want in asked:
            found = self.model.claimable(want, self.clock.now())
            for job in found:
                self.model.claim(job, node)
            expected += found
        assert [claim.id for claim in claims] == [job.id for job in expected]
        for claim, job in zip(claims, expected, strict=True):
            assert (claim.attempt, claim.crashes) == (job.attempts + 1, job.crashes)
            assert claim.fence > self.last_fence.get(claim.id, 0)
            self.last_fence[claim.id] = job.fence = claim.fence
            self.claims[claim.id, claim.fence] = claim

    @precondition(lambda self: self.model.nodes)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(self.nodes()), "node")
        self.store.leave(node)
        self.model.lose(node, (), self.clock.now())
        self.check_gone(node)

    @precondition(lambda self: self.model.nodes)
    @rule(data=st.data(), dead=st.booleans(), known=st.booleans())
    def rescue(self, data: st.DataObject, *, dead: bool, known: bool) -> None:
        node = data.draw(st.sampled_from(self.nodes()), "node")
        begun = [job for job in self.model.held(node) if data.draw(st.booleans(), "begun")]
        self.lose(node, begun, dead=dead, known=known)

    @precondition(lambda self: self.model.nodes)
    @rule(data=st.data())
    def die_with_all_there_is(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(self.nodes()), "node")
        everything = [Want(tasks=TASKS, queues=None, limit=99)]
        self.check_claims(node, everything, self.store.claim(node, everything))
        self.lose(node, self.model.held(node), dead=True, known=True)

    def lose(self, node: int, begun: list[ModelJob], *, dead: bool, known: bool) -> None:
        """Rescue a node's jobs from it."""
        held = self.model.held(node)
        grants = {(self.claims[job.id, job.fence].key, job.fence) for job in begun}
        rescued = self.store.rescue(node, dead=dead, begun=grants if known else None)
        if not dead and self.model.nodes[node] > self.clock.now():
            assert rescued is None
            return
        assert rescued is not None
        assert len(rescued.requeued) + len(rescued.failed) == len(held)
        self.model.lose(node, begun if known else held, self.clock.now())
        self.check_gone(node)

    def check_gone(self, node: int) -> None:
        """Expect that a node that has gone is refused, and can't be lost again."""
        assert self.store.rescue(node, dead=True, begun=None) is None
        assert self.store.renew(node, lease=LEASE) is None
        try:
            self.store.exchange(node, [], [Want(TASKS, None, 9)])
        except LeaseLost:
            return
        raise AssertionError("a node that has gone could claim")

    @precondition(lambda self: self.model.nodes)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(self.nodes()), "node")
        assert self.store.renew(node, lease=LEASE) is not None
        self.model.nodes[node] = self.clock.now() + LEASE

    @rule(seconds=st.sampled_from([1.0, 6.0, 20.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(age=st.sampled_from([0.0, 5.0]))
    def purge(self, age: float) -> None:
        dropped = self.store.purge(completed_after=age, failed_after=age, limit=1000)
        assert dropped == self.model.purge(self.clock.now(), age)

    @rule()
    def reopen(self) -> None:
        self.store = self.reopen_store()

    @invariant()
    def every_job_is_as_it_ought_to_be(self) -> None:
        for job in self.model.jobs:
            record = self.store.get(job.id)
            assert record is not None
            lines = [line.outcome for line in self.store.history(job.id)]
            has_node = record.node is not None
            seen = (record.state, record.attempts, record.crashes, has_node, lines)
            assert seen == job.seen()

    @invariant()
    def what_is_purged_is_gone(self) -> None:
        assert [self.store.get(job_id) for job_id in self.model.purged[-3:]] in (
            [],
            [None] * min(3, len(self.model.purged)),
        )

    @invariant()
    def stats_equal_the_rows(self) -> None:
        counts: dict[tuple[str, str], int] = {}
        for job in self.model.jobs:
            name = job.new.queue, job.state.value
            counts[name] = counts.get(name, 0) + 1
        told = {
            (queue, state): jobs
            for queue, states in self.store.stats().items()
            for state, jobs in states.items()
            if jobs
        }
        assert told == counts

    @invariant()
    def nodes_hold_what_they_ought_to(self) -> None:
        told = {node.key: (node.running, node.expires_in) for node in self.store.nodes()}
        assert told == {
            node: (len(self.model.held(node)), until - self.clock.now())
            for node, until in self.model.nodes.items()
        }

    @invariant()
    def the_ended_are_those_in_a_final_state(self) -> None:
        told = self.store.ended([job.id for job in self.model.jobs])
        final = {job.id: job.state for job in self.model.jobs if job.ended_at is not None}
        assert {job_id: end.state for job_id, end in told.items()} == final
        assert all(
            (end.result is not None) == (end.state is JobState.COMPLETED) for end in told.values()
        )


def made_outcome(claim: Claim, kind: OutcomeKind, delay: float) -> Outcome:
    """Return an outcome of a claim."""
    completed = kind is OutcomeKind.COMPLETED
    waits = kind in {OutcomeKind.RETRY, OutcomeKind.SNOOZED}
    return Outcome(
        key=claim.key,
        fence=claim.fence,
        kind=kind,
        result=b"1" if completed else None,
        failure=None if completed else FAILURE,
        delay=delay if waits else 0.0,
    )
