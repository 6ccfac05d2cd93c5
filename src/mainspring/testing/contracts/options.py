"""Contract of the options that a job has of its own: a store keeps them, and reads none."""
# ruff: noqa: S101, D102
# A contract is made of asserts, and a test's name is its docstring.

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mainspring.model.job import JobState, OutcomeKind
from mainspring.model.job_options import NO_OWN_OPTIONS, JobOptions, encode_options, read_options
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
    from mainspring.model.job import NewJob
    from mainspring.protocols import JobStore

OPTIONS = b'{"retries":7,"timeout":1.50,"backoff":[1.0,2.5]}'


OPTIONS_A = b'{"tags":["a"]}'


def tagged(*tags: str, **fields: str) -> NewJob:
    """Return a job that bears tags."""
    return new_job(**fields, options=encode_options(JobOptions(tags=tags)))


def listed(store: JobStore, **wanted: object) -> list[str]:
    """Return the ids of the jobs that fit."""
    return [job.id for job in store.jobs(JobFilter(**wanted))]  # type: ignore[arg-type]  # of JobFilter


class OptionsContract:
    """Options come back with each claim and stand in the record, whatever becomes of the job."""

    def test_options_come_with_the_claim_and_stand_in_the_record(self, store: JobStore) -> None:
        mine, plain, other = store.enqueue_many(
            [new_job(options=OPTIONS), new_job(), new_job(options=b'{"retries":0}')]
        )
        node = join(store)
        expected = {mine: OPTIONS, plain: None, other: b'{"retries":0}'}
        claims = store.claim(node, [want()])
        assert {claim.id: claim.options for claim in claims} == expected
        assert {claim.id: claim.options for claim in store.held(node)} == expected
        assert found(store, mine).options == read_options(OPTIONS)
        assert found(store, plain).options == NO_OWN_OPTIONS

    @pytest.mark.parametrize("limit", [1, 2])
    def test_they_come_with_a_claim_of_few_and_of_some_lanes(
        self, store: JobStore, limit: int
    ) -> None:
        enqueue(store, options=OPTIONS)
        enqueue(store, "other", options=OPTIONS)
        asked = [want("task", limit=limit), want("other", limit=limit)]
        assert [one.options for one in store.claim(join(store), asked)] == [OPTIONS] * 2

    @pytest.mark.parametrize("kind", [OutcomeKind.RETRY, OutcomeKind.FAILED])
    def test_they_stay_when_the_job_runs_again(self, store: JobStore, kind: OutcomeKind) -> None:
        job_id = enqueue(store, options=OPTIONS)
        end(store, job_id, kind)
        assert found(store, job_id).options == read_options(OPTIONS)
        if kind is OutcomeKind.FAILED:
            store.retry([job_id], payload=b"[[2],{}]")
        node, claim = start(store, job_id)
        assert claim.options == OPTIONS
        store.finish_many(node, [outcome(claim)])
        assert found(store, job_id).options == read_options(OPTIONS)

    def test_they_stay_with_a_job_that_is_cancelled(self, store: JobStore) -> None:
        job_id = enqueue(store, options=OPTIONS)
        store.cancel([job_id])
        assert found(store, job_id).options == read_options(OPTIONS)

    @pytest.mark.parametrize("options", [None, b'{"retries":0}'])
    def test_who_replaces_a_job_replaces_them(self, store: JobStore, options: bytes | None) -> None:
        job_id = enqueue(store, unique="k", options=OPTIONS)
        assert enqueue(store, unique="k", on_conflict="replace", options=options) == job_id
        assert start(store, job_id)[1].options == options


class TagContract:
    """A job is found by each of its tags, until it is dropped."""

    def test_a_tag_finds_its_jobs_newest_first_in_every_state(self, store: JobStore) -> None:
        one, both, plain, other = store.enqueue_many(
            [tagged("a"), tagged("a", "b"), new_job(), tagged("b")]
        )
        assert listed(store, tag="a") == [both, one]
        assert listed(store, tag="b") == [other, both]
        assert listed(store, tag="A") == listed(store, tag="") == []
        end(store, one)
        store.cancel([other])
        start(store, both)
        assert listed(store, tag="a") == [both, one]
        assert listed(store, tag="a", status=JobState.COMPLETED) == [one]
        assert listed(store, tag="b", status=JobState.CANCELLED) == [other]
        assert listed(store, tag="b", status=JobState.RUNNING) == [both]
        assert listed(store, tag="b", status=JobState.PENDING) == []
        assert listed(store) == [other, plain, both, one]

    def test_a_tag_goes_with_the_other_fields_and_a_search(self, store: JobStore) -> None:
        mine, of_other = tagged("a"), tagged("a", task="other", queue="far")
        jobs = store.enqueue_many([mine, of_other, new_job("other"), mine])
        assert listed(store, tag="a", task="other") == [jobs[1]]
        assert listed(store, tag="a", queue="queue") == [jobs[3], jobs[0]]
        assert listed(store, tag="a", task="other", queue="queue") == []
        assert listed(store, tag="a", search="other") == [jobs[1]]
        assert listed(store, tag="a", search=jobs[0]) == [jobs[0]]
        assert listed(store, tag="b", search="other") == []

    def test_pages_of_a_tag_follow_each_other(self, store: JobStore) -> None:
        jobs = [store.enqueue_many([tagged("a"), new_job()])[0] for _ in range(5)]
        for job_id in jobs[::2]:
            end(store, job_id)
        first = store.jobs(JobFilter(tag="a"), limit=3)
        rest = store.jobs(JobFilter(tag="a"), before=first[-1].key, limit=3)
        assert [one.id for one in (*first, *rest)] == jobs[::-1]

    def test_tags_go_with_their_job(self, store: JobStore) -> None:
        jobs = store.enqueue_many([tagged("a"), tagged("a"), tagged("a")])
        store.cancel(jobs[:1])
        end(store, jobs[1])
        assert store.drop(jobs[:1]) == 1
        assert listed(store, tag="a") == [jobs[2], jobs[1]]
        assert store.purge(completed_after=0, failed_after=0, limit=9) == 1
        assert listed(store, tag="a") == [jobs[2]]

    def test_who_replaces_a_job_replaces_its_tags(self, store: JobStore) -> None:
        job_id = enqueue(store, unique="k", options=OPTIONS_A)
        enqueue(store, unique="k", on_conflict="replace", options=b'{"tags":["b"]}')
        assert (listed(store, tag="a"), listed(store, tag="b")) == ([], [job_id])
        enqueue(store, unique="k", on_conflict="replace")
        assert listed(store, tag="b") == []
