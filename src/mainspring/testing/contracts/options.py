"""Contract of the options that a job has of its own: a store keeps them, and reads none."""
# ruff: noqa: S101, D102
# A contract is made of asserts, and a test's name is its docstring.

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mainspring.model.job import OutcomeKind
from mainspring.model.job_options import NO_OWN_OPTIONS, read_options
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
    from mainspring.protocols import JobStore

OPTIONS = b'{"retries":7,"timeout":1.50,"backoff":[1.0,2.5]}'


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
