"""Contract of a store's journal: progress and log lines of bodies. Needs pytest."""
# ruff: noqa: S101, D102
# A contract is made of asserts and of example numbers, and a test's name is its docstring.

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mainspring.model.job import OutcomeKind
from mainspring.model.note import LINE_CHARACTERS, MOST_LINES, LogLine, Note
from mainspring.model.view import JobFilter
from mainspring.testing.contracts.cases import (
    end,
    enqueue,
    found,
    join,
    new_job,
    outcome,
    start,
    want,
)

if TYPE_CHECKING:
    from mainspring.model.job import Claim
    from mainspring.protocols import JobStore
    from mainspring.testing.clock import FrozenClock


def progress_of(store: JobStore, job_id: str) -> tuple[float, str]:
    """Return the progress and message that a job's body last reported."""
    record = found(store, job_id)
    return record.progress, record.message


def texts(store: JobStore, job_id: str) -> list[str]:
    """Return the texts of a job's log."""
    return [line.text for line in store.log(job_id)]


def said(claim: Claim, clock: FrozenClock, *lines: str) -> Note:
    """Return a note of lines said now."""
    return Note(claim.key, claim.fence, lines=tuple((clock.monotonic(), line) for line in lines))


class JournalContract:
    """Notes of the last claim are kept, others are not."""

    def test_progress_is_what_was_reported_last(self, store: JobStore) -> None:
        job_id = enqueue(store)
        assert progress_of(store, job_id) == (0.0, "")
        _, claim = start(store, job_id)
        store.note_many(
            [Note(claim.key, claim.fence, 0.25, "größer"), Note(claim.key, claim.fence)]
        )
        assert progress_of(store, job_id) == (0.25, "größer")
        store.note_many([Note(claim.key, claim.fence, progress=0.5)])
        assert progress_of(store, job_id) == (0.5, "größer")
        store.note_many(
            [Note(claim.key, claim.fence, 0.7, "one"), Note(claim.key, claim.fence, 0.6, "two")]
        )
        assert progress_of(store, job_id) == (0.6, "two")

    def test_lines_are_kept_in_order_with_their_time_and_attempt(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        job_id = enqueue(store)
        created_at = found(store, job_id).created_at
        _, claim = start(store, job_id)
        lines = ((clock.monotonic() + 1, "first"), (clock.monotonic() + 2, "second\n"))
        clock.advance(5)
        store.note_many([Note(claim.key, claim.fence, lines=lines), said(claim, clock, "third")])
        log = store.log(job_id)
        assert [(line.text, line.number) for line in log] == [
            ("first", claim.fence),
            ("second\n", claim.fence),
            ("third", claim.fence),
        ]
        assert [(line.at - created_at).total_seconds() for line in log] == [1, 2, 5]
        assert all(isinstance(line, LogLine) for line in log)

    def test_a_note_of_an_earlier_claim_is_dropped(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        job_id = enqueue(store)
        node, old = start(store, job_id)
        store.note_many([said(old, clock, "old")])
        (new,) = store.exchange(node, [outcome(old, OutcomeKind.RELEASED)], [want()]).claims
        late = Note(old.key, old.fence, 0.9, "late", ((clock.monotonic(), "late"),))
        early = Note(old.key, new.fence + 1, 0.9, "early", ((clock.monotonic(), "early"),))
        unknown = Note(10**9, 1, 0.9, "unknown", ((clock.monotonic(), "unknown"),))
        store.note_many([late, early, unknown, said(new, clock, "new")])
        assert progress_of(store, job_id) == (0.0, "")
        assert [(line.text, line.number) for line in store.log(job_id)] == [
            ("old", old.fence),
            ("new", new.fence),
        ]

    def test_a_note_that_comes_after_the_end_is_kept(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        job_id = enqueue(store)
        node, claim = start(store, job_id)
        store.note_many([Note(claim.key, claim.fence, 0.5, "half", ((clock.monotonic(), "one"),))])
        store.finish_many(node, [outcome(claim, OutcomeKind.FAILED)])
        assert (progress_of(store, job_id), texts(store, job_id)) == ((0.5, "half"), ["one"])
        store.note_many([Note(claim.key, claim.fence, 0.6, "late", ((clock.monotonic(), "two"),))])
        assert (progress_of(store, job_id), texts(store, job_id)) == ((0.6, "late"), ["one", "two"])

    def test_a_job_that_runs_again_keeps_its_log(self, store: JobStore, clock: FrozenClock) -> None:
        job_id = enqueue(store)
        node, claim = start(store, job_id)
        store.note_many([said(claim, clock, "first")])
        store.finish_many(node, [outcome(claim, OutcomeKind.FAILED)])
        store.retry([job_id])
        _, claim = start(store, job_id)
        store.note_many([said(claim, clock, "second")])
        assert texts(store, job_id) == ["first", "second"]

    @pytest.mark.parametrize("kind", [OutcomeKind.COMPLETED, OutcomeKind.FAILED])
    def test_a_completed_job_is_at_one_and_a_failed_one_where_it_was(
        self, store: JobStore, kind: OutcomeKind
    ) -> None:
        job_id = enqueue(store)
        node, claim = start(store, job_id)
        store.note_many([Note(claim.key, claim.fence, progress=0.5, message="half")])
        store.finish_many(node, [outcome(claim, kind)])
        expected = 1.0 if kind is OutcomeKind.COMPLETED else 0.5
        assert progress_of(store, job_id) == (expected, "half")
        (listed,) = store.jobs(JobFilter())
        assert listed.progress == expected

    def test_progress_stands_in_lists(self, store: JobStore) -> None:
        job_id = enqueue(store)
        _, claim = start(store, job_id)
        store.note_many([Note(claim.key, claim.fence, 0.5, "half")])
        listed = {job.id: (job.progress, job.message) for job in store.jobs(JobFilter())}
        assert listed == {job_id: (0.5, "half")}

    def test_of_many_lines_the_last_are_kept(self, store: JobStore, clock: FrozenClock) -> None:
        job_id = enqueue(store)
        _, claim = start(store, job_id)
        lines = [str(number) for number in range(MOST_LINES + 5)]
        store.note_many([said(claim, clock, *lines[:-10])])
        store.note_many([said(claim, clock, *lines[-10:])])
        assert texts(store, job_id) == lines[5:]

    def test_long_texts_are_cut(self, store: JobStore, clock: FrozenClock) -> None:
        job_id = enqueue(store)
        _, claim = start(store, job_id)
        long = "ä" * (LINE_CHARACTERS + 1)
        store.note_many([Note(claim.key, claim.fence, 0.5, long), said(claim, clock, long)])
        assert len(found(store, job_id).message) == LINE_CHARACTERS
        assert [len(text) for text in texts(store, job_id)] == [LINE_CHARACTERS]

    def test_logs_are_kept_apart_and_go_with_their_jobs(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        job_ids = store.enqueue_many([new_job()] * 2)
        node = join(store)
        claims = store.claim(node, [want()])
        store.note_many([said(claim, clock, claim.id) for claim in claims])
        assert [texts(store, job_id) for job_id in job_ids] == [[job_id] for job_id in job_ids]
        store.finish_many(node, [outcome(claim) for claim in claims])
        assert store.drop([job_ids[0]]) == 1
        assert store.purge(completed_after=0, failed_after=0, limit=10) == 1
        assert [store.log(job_id) for job_id in job_ids] == [[], []]

    def test_an_unknown_job_has_no_log(self, store: JobStore) -> None:
        end(store, enqueue(store))
        assert store.log("9-00000009") == store.log("") == []
