"""The time that final jobs are kept."""

import pytest

from mainspring.model.job import JobState, Outcome, OutcomeKind
from mainspring.stores.rules.keeping import ages, keeping_of


def test_a_completed_job_is_kept_as_long_as_its_outcome_says():
    outcome = Outcome(key=1, fence=1, kind=OutcomeKind.COMPLETED, keep=1.5)
    assert keeping_of(outcome) == 1_500_000


def test_without_a_word_of_its_outcome_it_is_kept_as_long_as_others():
    assert keeping_of(Outcome(key=1, fence=1, kind=OutcomeKind.COMPLETED)) is None


@pytest.mark.parametrize("kind", sorted(set(OutcomeKind) - {OutcomeKind.COMPLETED}))
def test_only_a_completed_job_has_a_keeping_time_of_its_own(kind):
    assert keeping_of(Outcome(key=1, fence=1, kind=kind, keep=1.5)) is None


def test_failed_jobs_have_an_age_of_their_own():
    assert ages(completed_after=1.0, failed_after=2.0) == {
        JobState.COMPLETED: 1.0,
        JobState.CANCELLED: 1.0,
        JobState.FAILED: 2.0,
    }
