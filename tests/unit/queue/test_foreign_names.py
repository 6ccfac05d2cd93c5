"""Names of other libraries: the error says what they are called here."""

from __future__ import annotations

import pytest

from mainspring import Queue, background_worker
from mainspring.errors import InvalidArguments, InvalidOption, UnknownOption
from mainspring.model.foreign_names import OPTIONS


@pytest.fixture
def queue():
    return Queue("memory://")


@pytest.fixture
def add(queue):
    @queue.task(name="add")
    def add(a: int = 0) -> int:
        return a

    return add


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        ("countdown", "give delay=;"),
        ("eta", "give run_at=;"),
        ("max_retries", "give retries=;"),
        ("time_limit", "give timeout=;"),
        ("result_ttl", "give keep_result=;"),
    ],
)
def test_an_option_of_another_library_is_told_by_its_name_here(add, given, ours):
    with pytest.raises(UnknownOption, match=f"has no option '{given}'; {ours} it takes queue"):
        add.using(**{given: 5})


def test_an_option_for_which_there_is_none_here_says_what_to_do(queue):
    with pytest.raises(UnknownOption, match="rates are not limited here"):
        queue.task(rate_limit="10/m")
    with pytest.raises(UnknownOption, match="current_job"):
        queue.task(bind=True)


def test_an_option_that_the_owner_does_not_have_under_either_name_is_only_refused(add):
    with pytest.raises(UnknownOption, match="'autoretry_for'; it takes"):
        add.using(autoretry_for=(OSError,))


def test_no_name_of_another_library_is_one_of_ours(add, queue):
    with pytest.raises(UnknownOption) as caught:
        add.using(nothing=1)
    assert not [name for name in OPTIONS if f" {name}," in str(caught.value)]


def test_a_worker_without_a_kind_is_told_the_options_that_make_one():
    with pytest.raises(
        UnknownOption, match=r"give interval=; it takes queue, .*interval, .*cron, .*name"
    ):
        background_worker(every=5)(lambda: None)


@pytest.mark.parametrize(
    ("attribute", "ours"),
    [("apply_async", "using"), ("s", "task.call"), ("send", "task.delay"), ("schedule", "delay=5")],
)
def test_a_method_of_another_librarys_task_is_told_by_its_name_here(add, attribute, ours):
    with pytest.raises(AttributeError, match=f"no attribute '{attribute}'; write .*{ours}"):
        getattr(add, attribute)


@pytest.mark.parametrize(
    ("attribute", "ours"), [("get", "result"), ("ready", "status"), ("state", "job.status")]
)
def test_a_method_of_another_librarys_result_is_told_by_its_name_here(add, attribute, ours):
    job = add.delay()
    with pytest.raises(AttributeError, match=f"'{attribute}'; write .*{ours}"):
        getattr(job, attribute)


def test_any_other_attribute_is_missing_as_usual(add):
    with pytest.raises(AttributeError, match="^'QueueTask' object has no attribute 'colour'$"):
        _ = add.colour
    assert not hasattr(add, "__deepcopy__")


def test_a_task_given_to_enqueue_is_told_to_be_delayed(queue, add):
    with pytest.raises(InvalidOption, match="is a task, and not its name; write task.delay"):
        queue.enqueue(add, (1,))
    with pytest.raises(InvalidArguments, match="enqueue"):
        queue.enqueue("add", 1)
