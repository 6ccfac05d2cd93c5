from itertools import product

import pytest

from mainspring.model.job import (
    FINAL,
    OUTCOME_STEP,
    TRANSITIONS,
    Claim,
    Failure,
    JobState,
    NewJob,
    Outcome,
    OutcomeKind,
    Step,
)

# The picture of docs/semantics.md as a matrix: from each state (row), where each step leads.
STEPS = "claim complete retry fail snooze release cancel rescue|crash out|revive"
MATRIX = """
pending:   running -         -       -      -       -       cancelled -       -      -
running:   -       completed pending failed pending pending cancelled pending failed -
completed: -       -         -       -      -       -       -         -       -      -
failed:    -       -         -       -      -       -       -         -       -      pending
cancelled: -       -         -       -      -       -       -         -       -      pending
"""


def expected(state, step):
    names = [name for part in STEPS.split("|")[:1] for name in part.split()]
    names += STEPS.split("|")[1:]
    rows = dict(line.split(":") for line in MATRIX.strip().splitlines())
    return rows[state].split()[names.index(step)]


@pytest.mark.parametrize(("state", "step"), list(product(JobState, Step)))
def test_a_step_leads_where_the_picture_says(state, step):
    assert TRANSITIONS.get((state, step), "-") == expected(state, step)


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_final_state_is_left_by_revive_only(state):
    assert {step for source, step in TRANSITIONS if source is state} <= {Step.REVIVE}


def test_a_completed_job_never_changes():
    assert not [step for source, step in TRANSITIONS if source is JobState.COMPLETED]


def test_a_state_is_final_or_can_come_to_an_end():
    ending = {source for (source, _), target in TRANSITIONS.items() if target in FINAL}
    assert ending == set(JobState) - FINAL


def test_every_state_is_reached_from_pending():
    reached = {JobState.PENDING}
    for _ in JobState:
        reached |= {target for (source, _), target in TRANSITIONS.items() if source in reached}
    assert reached == set(JobState)


def test_a_job_runs_by_a_claim_only():
    leading = {step for (_, step), target in TRANSITIONS.items() if target is JobState.RUNNING}
    assert leading == {Step.CLAIM}


def test_every_step_is_in_the_table():
    assert {step for _, step in TRANSITIONS} == set(Step)


@pytest.mark.parametrize("kind", OutcomeKind)
def test_every_outcome_takes_a_running_job_a_step(kind):
    assert (JobState.RUNNING, OUTCOME_STEP[kind]) in TRANSITIONS


def test_two_outcomes_are_never_one_step():
    assert len(set(OUTCOME_STEP.values())) == len(OutcomeKind)


@pytest.mark.parametrize("kind", ["completed", "failed", "cancelled"])
def test_an_outcome_named_like_a_state_leads_to_it(kind):
    assert TRANSITIONS[JobState.RUNNING, OUTCOME_STEP[OutcomeKind(kind)]] == JobState(kind)


def test_a_failure_reads_as_the_last_line_of_a_traceback():
    assert str(Failure("builtins.ValueError", "no")) == "ValueError: no"
    assert str(Failure("app.errors.Bad", "no")) == "app.errors.Bad: no"


@pytest.mark.parametrize(
    "value",
    [
        NewJob("t", "q", b"[[],{}]"),
        Claim(1, "id", 1, "t", "q", b"[[],{}]", 1, 0),
        Outcome(1, 1, OutcomeKind.COMPLETED),
        Failure("builtins.ValueError", "no"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_crosses_the_store_can_not_be_changed(value):
    with pytest.raises(AttributeError):
        setattr(value, value.__struct_fields__[0], None)
