"""The jobs that a retry by hand revives, and its answers."""

import pytest

from mainspring.model.job import JobState
from mainspring.stores.rules.retry import FinalJob, is_revivable, plan_retry

PLAIN = FinalJob(None, None)


def test_a_final_job_is_revived_and_answers_for_itself():
    plan = plan_retry(["a"], {"a": PLAIN})
    assert (plan.revived, plan.answers) == (["a"], ["a"])


def test_an_unknown_job_has_no_answer():
    plan = plan_retry(["a", "b"], {"b": PLAIN})
    assert (plan.revived, plan.answers) == (["b"], [None, "b"])


def test_a_live_job_of_the_same_unique_key_answers_instead():
    plan = plan_retry(["a"], {"a": FinalJob("k", "live")})
    assert (plan.revived, plan.answers) == ([], ["live"])


def test_of_two_with_one_unique_key_the_first_is_revived_and_answers_for_both():
    plan = plan_retry(["b", "a"], {"a": FinalJob("k", None), "b": FinalJob("k", None)})
    assert (plan.revived, plan.answers) == (["b"], ["b", "b"])


def test_jobs_without_a_unique_key_do_not_meet():
    plan = plan_retry(["a", "b"], {"a": PLAIN, "b": PLAIN})
    assert plan.revived == ["a", "b"]


def test_a_job_that_is_asked_for_twice_is_revived_once():
    plan = plan_retry(["a", "a"], {"a": PLAIN})
    assert (plan.revived, plan.answers) == (["a"], ["a", None])


@pytest.mark.parametrize("state", JobState)
def test_failed_and_cancelled_jobs_can_be_retried(state):
    assert is_revivable(state) == (state in {JobState.FAILED, JobState.CANCELLED})
