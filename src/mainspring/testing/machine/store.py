"""A random walk over a store's verbs, compared with a model at every step. Needs hypothesis.

class MyMachine(StoreMachine):
    def make_store(self, clock):
        return MyStore(clock=clock)

TestMyStoreAtRandom = MyMachine.TestCase

Rules are few and each does one of several things: hypothesis leaves out some rules of each walk,
and with one rule a verb hardly any walk went all the way from a job to its end.
"""
# ruff: noqa: S101, D102
# A state machine checks by asserts, and a rule's name is its docstring.

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from mainspring.model.job import JobState
from mainspring.model.note import Note
from mainspring.testing.machine.draws import (
    JUMPS,
    QUEUES,
    ages,
    batches,
    delays,
    kinds,
    made_outcome,
    payloads,
    plain_jobs,
    priorities,
    waits,
    wants,
)
from mainspring.testing.machine.timetable import NAMES, rules
from mainspring.testing.machine.walk import StoreWalk

if TYPE_CHECKING:
    from mainspring.model.job import NewJob, OutcomeKind, Want
    from mainspring.model.timetable import NewSchedule
    from mainspring.testing.machine.model import ModelJob

MOST_JOBS = 8
"""Few, so that the walk meets the same job again and again."""

MOST_NODES = 2

Step = Callable[[st.DataObject], None]


class StoreMachine(StoreWalk):
    """Enqueue, claim, finish, lose; cancel, retry, move, drop; pause, tick, wait, purge, reopen."""

    @initialize(jobs=st.lists(plain_jobs, min_size=2, max_size=4))
    def begin(self, jobs: list[NewJob]) -> None:
        self.join()
        self.enqueue(jobs)

    @precondition(lambda self: len(self.model.jobs) < MOST_JOBS)
    @rule(jobs=batches)
    def enqueue(self, jobs: list[NewJob]) -> None:
        jobs = [self.without_lapsed_key(job) for job in jobs]
        self.expect_kept(jobs, lambda: self.store.enqueue_many(jobs))

    @rule(data=st.data(), asked=st.lists(wants, min_size=1, max_size=2))
    def exchange(self, data: st.DataObject, asked: list[Want]) -> None:
        node = self.draw_node(data)
        outcomes = data.draw(self.outcomes_of(node), "outcomes")
        expected = [self.expect(node, outcome) for outcome in outcomes]
        exchanged = self.store.exchange(node, outcomes, asked)
        assert exchanged.accepted == expected
        leased = self.model.leased(node, self.clock.now())
        assert exchanged.lapsed is not leased
        asked = asked if leased else []
        assert exchanged.next_due == self.model.promote(asked, self.clock.now())
        self.expect_claims(node, asked, exchanged.claims)

    @rule(data=st.data(), kind=kinds, delay=delays)
    def work(self, data: st.DataObject, kind: OutcomeKind, delay: float) -> None:
        """Let a node run all there is to one kind of end: the straight way to many states."""
        node = self.draw_busy_node(data)
        held = self.model.held(node)
        answer = [made_outcome(self.claim_of(job), kind, delay, None) for job in held]
        expected = [self.expect(node, outcome) for outcome in answer]
        assert self.store.finish_many(node, answer) == expected == [True] * len(held)

    def draw_busy_node(self, data: st.DataObject) -> int:
        """Draw a node, and let it claim all there is; some of that is cancelled, now and then."""
        node = self.draw_node(data)
        self.claim_everything(node)
        held = self.model.held(node)
        if held and flip(data, "cancelled"):
            self.expect_cancelled({job.id or "": job for job in held[:2]})
        return node

    @rule(data=st.data())
    def live_and_die(self, data: st.DataObject) -> None:
        take(data, self.join_or_renew, self.note, self.leave, self.rescue, self.crash_at_work)

    def leave(self, data: st.DataObject) -> None:
        node = self.draw_busy_node(data)
        self.store.leave(node)
        self.model.lose(node, (), self.clock.now())
        self.expect_gone(node)

    def rescue(self, data: st.DataObject) -> None:
        node = self.draw_node(data)
        dead, known = flip(data, "dead"), flip(data, "known")
        self.lose(node, self.draw_begun(data, node), dead=dead, known=known)

    def crash_at_work(self, data: st.DataObject) -> None:
        """Lose node after node, as a job does that kills its worker each time."""
        for _ in range(data.draw(st.integers(1, 3), "deaths")):
            node = self.draw_busy_node(data)
            self.lose(node, self.draw_begun(data, node), dead=True, known=True)
            self.wait_for(6.0)

    def draw_begun(self, data: st.DataObject, node: int) -> list[ModelJob]:
        held = self.model.held(node)
        if flip(data, "all begun"):
            return held
        return [job for job in held if flip(data, "begun")]

    def join_or_renew(self, data: st.DataObject) -> None:
        if len(self.model.nodes) < MOST_NODES and flip(data, "join"):
            self.join()
            return
        self.renew(self.draw_node(data))

    @rule(data=st.data())
    def control_jobs(self, data: st.DataObject) -> None:
        take(data, self.cancel, self.retry, self.retry, self.drop, self.switch)

    def cancel(self, data: st.DataObject) -> None:
        self.expect_cancelled(self.draw_jobs(data))

    def retry(self, data: st.DataObject) -> None:
        payload = data.draw(st.none() | payloads, "payload")
        drawn = self.draw_jobs(data, [job for job in self.model.jobs if not job.live()])
        expected = [self.model.retry(job, payload, self.clock.now()) for job in drawn.values()]
        assert self.store.retry(list(drawn), payload=payload) == expected

    def reschedule(self, data: st.DataObject) -> None:
        delay = data.draw(st.none() | delays, "delay")
        priority = data.draw(priorities, "priority")
        pending = [job for job in self.model.jobs if job.state is JobState.PENDING]
        drawn = self.draw_jobs(data, pending)
        now = self.clock.now()
        expected = [self.model.reschedule(job, delay, priority, now) for job in drawn.values()]
        assert self.store.reschedule(list(drawn), delay=delay, priority=priority) == expected

    def drop(self, data: st.DataObject) -> None:
        drawn = self.draw_jobs(data)
        expected = self.model.drop([job for job in drawn.values() if job is not None])
        assert self.store.drop(list(drawn)) == expected

    @rule(data=st.data())
    def run_upkeep(self, data: st.DataObject) -> None:
        take(data, self.expire, self.purge, self.reopen, self.reschedule)

    def expire(self, _: st.DataObject) -> None:
        assert len(self.store.expire(limit=1000)) == self.model.expire(self.clock.now())

    def switch(self, data: st.DataObject) -> None:
        queue = data.draw(st.sampled_from(QUEUES), "queue")
        was = queue in self.model.paused
        if flip(data, "paused"):
            assert self.store.pause(queue) == (not was)
            self.model.paused.add(queue)
        else:
            assert self.store.resume(queue) == was
            self.model.paused.discard(queue)

    def note(self, data: st.DataObject) -> None:
        if not self.claims:
            return
        claims = [claim for _, claim in sorted(self.claims.items())]
        claim = data.draw(st.sampled_from(claims), "claim")
        progress = data.draw(st.sampled_from([None, 0.25, 1.0]), "progress")
        text = data.draw(st.sampled_from(["one", "two"]), "text")
        line = (self.clock.monotonic(), text)
        note = Note(claim.key, claim.fence, progress, message=text, lines=(line,))
        self.store.note_many([note])
        job = self.model.known(claim.id)
        if job is not None and job.fence == claim.fence:
            job.hear(note)

    @rule(data=st.data())
    def schedule(self, data: st.DataObject) -> None:
        take(data, self.declare, self.tick, self.tick, self.control_schedule)

    def declare(self, data: st.DataObject) -> None:
        name, recurrence = data.draw(st.sampled_from(NAMES), "name"), data.draw(rules, "rule")
        new = self.timetable.new(name, recurrence, added=flip(data, "added"))
        if new.added:
            self.swap(new, data)
        else:
            self.store.declare([self.timetable.declare(new, self.clock.now())])

    def swap(self, new: NewSchedule, data: st.DataObject) -> None:
        known = self.timetable.schedules.get(new.name)
        kept = None if known is None else known.new
        expected = data.draw(st.sampled_from([None, new, kept]), "expected")
        answer = self.timetable.swap(new, expected, self.clock.now())
        assert self.store.swap_schedule(new, expected=expected) == answer

    def tick(self, data: st.DataObject) -> None:
        while not self.timetable.schedules:
            self.declare(data)
        jobs = data.draw(batches, "jobs") if len(self.model.jobs) < MOST_JOBS else []
        stale = flip(data, "stale")
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

    def control_schedule(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(NAMES), "name")
        control = data.draw(st.sampled_from(["pause", "resume", "forget"]), "control")
        if control == "pause":
            assert self.store.pause_schedule(name) == self.timetable.pause(name)
        elif control == "resume":
            answer = self.store.resume_schedule(name)
            assert answer == self.timetable.resume(name, self.clock.now())
        else:
            assert self.store.forget_schedule(name) == self.timetable.forget(name)

    @rule(seconds=waits)
    def wait(self, seconds: float) -> None:
        if seconds in JUMPS:
            self.clock.jump(seconds)
        self.wait_for(0.0 if seconds in JUMPS else seconds)

    def wait_for(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.latest = max(self.latest, self.clock.now())

    def purge(self, data: st.DataObject) -> None:
        completed_after, failed_after = data.draw(ages, "completed"), data.draw(ages, "failed")
        kept = {"completed_after": completed_after, "failed_after": failed_after}
        expected = self.model.purge(self.clock.now(), **kept)
        assert self.store.purge(**kept, limit=1000) == expected

    def reopen(self, _: st.DataObject) -> None:
        self.store = self.reopen_store()
        self.check.everything(self.store, self.clock.now())

    @invariant()
    def the_store_is_as_the_model(self) -> None:
        self.check.after_a_step(self.store, self.clock.now())


def flip(data: st.DataObject, label: str) -> bool:
    """Draw yes or no."""
    return data.draw(st.booleans(), label)


def take(data: st.DataObject, *steps: Step) -> None:
    """Draw one of several steps and take it."""
    step: Step = data.draw(st.sampled_from(steps), "step")
    step(data)
