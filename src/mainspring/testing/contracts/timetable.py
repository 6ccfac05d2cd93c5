"""Contract of a store's schedules: each moment gets one tick. Needs pytest."""
# ruff: noqa: S101, PLR2004, D102
# A contract is made of asserts and of example numbers, and a test's name is its docstring.

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from mainspring.errors import DuplicateJob
from mainspring.model.job_options import JobOptions
from mainspring.model.timetable import NewSchedule, RuleText, due_at
from mainspring.testing.contracts.cases import (
    MINUTE,
    end,
    enqueue,
    found,
    held,
    ids,
    join,
    kept,
    new_job,
    schedule,
    tick,
    want,
)

if TYPE_CHECKING:
    from mainspring.protocols import JobStore
    from mainspring.testing.clock import FrozenClock


OPTIONS = JobOptions(
    retries=0,
    timeout=0.5,
    backoff=(1.0, 2.0),
    tags=("größer", "vip"),
    metadata={"customer": [7, None, {"a": "\x00"}]},
)


def now(clock: FrozenClock) -> datetime:
    """Return the store's time."""
    return datetime.fromtimestamp(clock.now(), UTC)


class TimetableContract:
    """A tick is enqueued once."""

    def test_a_schedule_is_added_changed_and_kept_only_over_what_is_expected(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        new = schedule(added=True)
        other = replace(new, rule=RuleText(every=30.0))
        assert not store.swap_schedule(other, expected=new)
        assert store.schedules().schedules == []
        assert store.swap_schedule(new, expected=None)
        assert not store.swap_schedule(other, expected=None)
        assert (kept(store).new, kept(store).anchor) == (new, now(clock))
        clock.advance(10)
        assert not store.swap_schedule(other, expected=other)
        assert store.swap_schedule(replace(new, priority=5), expected=new)
        assert kept(store).last_tick == kept(store).anchor
        assert store.swap_schedule(other, expected=kept(store).new)
        # A new rule counts from now, and the grid stays where it was.
        assert (kept(store).last_tick, now(clock) - kept(store).anchor) == (
            now(clock),
            timedelta(seconds=10),
        )
        assert kept(store).new == other
        store.declare([replace(other, added=False)])
        assert kept(store).new.added is False

    def test_of_several_who_add_a_schedule_at_once_one_succeeds(self, store: JobStore) -> None:
        store.schedules()
        with ThreadPoolExecutor(8) as pool:
            added = list(
                pool.map(
                    lambda n: store.swap_schedule(schedule(every=10.0 + n), expected=None), range(8)
                )
            )
        assert sum(added) == 1
        rule = RuleText(every=10.0 + added.index(True))
        assert kept(store).new.rule == rule

    def test_a_new_schedule_is_anchored_now_and_has_missed_nothing(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        clock.advance(0.25)
        new = NewSchedule(
            name="größer",
            rule=RuleText(cron="*/5 * * * *", tz="Europe/Prague"),
            task="a task",
            queue="a 'queue'",
            payload=new_job().payload,
            priority=-3,
            catch_up="all",
            unique="ein Schlüssel",
            expires=0.1,
            options=OPTIONS,
        )
        store.declare([new, schedule("b"), schedule("a", 0.5)])
        answer = store.schedules()
        assert answer.now == now(clock)
        assert [record.new.name for record in answer.schedules] == ["a", "b", "größer"]
        assert [record.new for record in answer.schedules] == [
            schedule("a", 0.5),
            schedule("b"),
            new,
        ]
        assert {record.anchor for record in answer.schedules} == {now(clock)}
        assert {record.last_tick for record in answer.schedules} == {now(clock)}
        assert not any(record.paused for record in answer.schedules)

    def test_an_empty_store_has_no_schedules(self, store: JobStore) -> None:
        store.declare([])
        assert store.schedules().schedules == []

    def test_a_tick_enqueues_and_moves_on(self, store: JobStore, clock: FrozenClock) -> None:
        store.declare([schedule(), schedule("other")])
        first = kept(store).last_tick
        clock.advance(120)
        job_ids = tick(store, jobs=2)
        assert job_ids is not None
        assert ids(store.claim(join(store), [want()])) == job_ids
        assert (kept(store).last_tick, kept(store, "other").last_tick) == (first + MINUTE, first)
        assert tick(store, jobs=0) == []
        assert (kept(store).last_tick, held(store)) == (first + 2 * MINUTE, 2)

    def test_a_tick_moves_from_the_last_one_only(self, store: JobStore, clock: FrozenClock) -> None:
        store.declare([schedule()])
        clock.advance(180)
        first = kept(store).last_tick
        assert tick(store) is not None
        for last in (first, first + 2 * MINUTE, first + MINUTE - timedelta(microseconds=1)):
            assert store.tick("s", last=last, to=last + 3 * MINUTE, jobs=[new_job()]) is None
        assert (kept(store).last_tick, held(store)) == (first + MINUTE, 1)

    def test_of_two_tickers_one_wins(self, store: JobStore, clock: FrozenClock) -> None:
        store.declare([schedule()])
        with ThreadPoolExecutor(4) as threads:
            for _ in range(10):
                clock.advance(60)
                last = kept(store).last_tick
                answer = [
                    threads.submit(store.tick, "s", last=last, to=last + MINUTE, jobs=[new_job()])
                    for _ in range(4)
                ]
                assert [one.result() is None for one in answer].count(False) == 1
        assert held(store) == 10

    def test_a_tick_whose_jobs_are_refused_has_not_been(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        store.declare([schedule()])
        clock.advance(60)
        enqueue(store, unique="k")
        last = kept(store).last_tick
        batch = [new_job(), new_job(unique="k", on_conflict="raise")]
        with pytest.raises(DuplicateJob):
            store.tick("s", last=last, to=last + MINUTE, jobs=batch)
        assert (kept(store).last_tick, held(store)) == (last, 1)

    def test_a_purge_between_two_ticks_repeats_none(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        store.declare([schedule()])
        last = kept(store).last_tick
        clock.advance(60)
        answer = tick(store)
        assert answer is not None
        end(store, answer[0])
        assert store.purge(completed_after=0, failed_after=0, limit=10) == 1
        assert store.tick("s", last=last, to=last + MINUTE, jobs=[new_job()]) is None
        assert due_at(kept(store), store.schedules().now) is None
        assert held(store) == 0

    def test_an_unknown_schedule_does_not_tick(self, store: JobStore, clock: FrozenClock) -> None:
        moment = now(clock)
        assert store.tick("s", last=moment, to=moment + MINUTE, jobs=[new_job()]) is None
        assert held(store) == 0

    def test_declaring_again_changes_nothing(self, store: JobStore, clock: FrozenClock) -> None:
        store.declare([schedule()])
        clock.advance(90)
        tick(store)
        before = kept(store)
        store.declare([schedule()])
        assert kept(store) == before

    def test_other_options_keep_anchor_and_last_tick(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        store.declare([schedule()])
        before = kept(store)
        clock.advance(90)
        new = schedule(task="b", queue="y", payload=b"[[1],{}]", priority=4, catch_up="skip")
        for changed in (new, replace(new, unique="k", expires=60.0, options=OPTIONS), new):
            store.declare([changed])
            after = kept(store)
            assert after.new == changed
            assert (after.anchor, after.last_tick) == (before.anchor, before.last_tick)

    def test_a_new_rule_has_missed_nothing(self, store: JobStore, clock: FrozenClock) -> None:
        store.declare([schedule()])
        anchor = kept(store).anchor
        clock.advance(90)
        store.declare([schedule(every=7.0)])
        assert (kept(store).anchor, kept(store).last_tick) == (anchor, now(clock))
        assert due_at(kept(store), now(clock)) is None

    def test_an_older_version_that_declares_again_moves_nothing_back(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        store.declare([schedule()])
        anchor = kept(store).anchor
        clock.advance(90)
        store.declare([schedule(every=30.0)])
        last = kept(store).last_tick
        store.tick("s", last=last, to=last + MINUTE, jobs=[new_job()])
        store.declare([schedule()])
        assert (kept(store).anchor, kept(store).last_tick) == (anchor, last + MINUTE)
        assert due_at(kept(store), now(clock)) is None

    def test_a_clock_set_back_repeats_no_tick(self, store: JobStore, clock: FrozenClock) -> None:
        store.declare([schedule()])
        anchor = kept(store).anchor
        clock.advance(60)
        tick(store)
        last = kept(store).last_tick
        clock.jump(-3600)
        for new in (schedule(), schedule(every=30.0), schedule()):
            store.declare([new])
            assert (kept(store).anchor, kept(store).last_tick) == (anchor, last)
        store.pause_schedule("s")
        store.resume_schedule("s")
        assert kept(store).last_tick == last
        clock.advance(3600)
        assert due_at(kept(store), store.schedules().now) is None

    def test_a_paused_schedule_does_not_tick(self, store: JobStore, clock: FrozenClock) -> None:
        store.declare([schedule(), schedule("other")])
        assert (store.pause_schedule("s"), store.pause_schedule("s")) == (True, False)
        clock.advance(60)
        assert (kept(store).paused, kept(store, "other").paused) == (True, False)
        assert (tick(store), held(store)) == (None, 0)
        assert tick(store, name="other") is not None

    def test_a_resumed_schedule_goes_on_from_now(self, store: JobStore, clock: FrozenClock) -> None:
        store.declare([schedule()])
        anchor = kept(store).anchor
        store.pause_schedule("s")
        clock.advance(600)
        store.declare([schedule()])
        assert kept(store).paused
        assert (store.resume_schedule("s"), store.resume_schedule("s")) == (True, False)
        assert (kept(store).last_tick, kept(store).anchor) == (now(clock), anchor)
        assert not kept(store).paused
        assert tick(store) is not None

    def test_a_forgotten_schedule_is_new_when_declared_again(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        store.declare([schedule()])
        store.pause_schedule("s")
        assert (store.forget_schedule("s"), store.forget_schedule("s")) == (True, False)
        assert store.schedules().schedules == []
        assert (store.pause_schedule("s"), store.resume_schedule("s")) == (False, False)
        clock.advance(90)
        store.declare([schedule()])
        assert (kept(store).anchor, kept(store).paused) == (now(clock), False)

    def test_jobs_of_a_tick_are_jobs_like_others(self, store: JobStore, clock: FrozenClock) -> None:
        store.declare([schedule()])
        clock.advance(60)
        live = enqueue(store, unique="k", idempotency_key="i")
        last = kept(store).last_tick
        batch = [new_job(unique="k"), new_job(idempotency_key="i"), new_job(priority=-1)]
        answer = store.tick("s", last=last, to=last + MINUTE, jobs=batch)
        assert answer is not None
        assert (answer[:2], found(store, answer[2]).priority) == ([live, live], -1)
