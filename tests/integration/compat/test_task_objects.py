"""Background tasks as atasker's pages use them: their fields, callbacks, and tasks put by hand."""

import asyncio
import threading

import pytest

from mainspring import TT_COROUTINE, TT_THREAD, TaskCollection, background_task, wait_completed
from mainspring.errors import UnknownOption


def fail():
    raise OSError("no such door")


def test_a_task_tells_its_type_target_and_name(supervisor):
    def add(first, second):
        return first + second

    task = background_task(add, supervisor=supervisor, name="sum", daemon=True)(1, second=2)
    assert wait_completed(task, timeout=10) == 3
    assert (task.tt, task.target, task.name, task.delay) == (TT_THREAD, add, "sum", None)
    assert task.is_started()
    assert task.is_completed()


@pytest.mark.parametrize(
    ("function", "word", "number"), [(int, "completed", 200), (fail, "failed", 200)]
)
def test_a_status_is_a_word_and_a_number(supervisor, until, function, word, number):
    task = background_task(function, supervisor=supervisor)()
    until(task.is_completed)
    assert task.status == word
    assert task.status == number
    assert task.status != 100
    assert {task.status: 1}[word] == 1


def test_statuses_before_the_end_have_numbers_too(supervisor, until):
    go_on = threading.Event()
    waiting = background_task(go_on.wait, supervisor=supervisor)()
    until(waiting.is_started)
    later = background_task(int, supervisor=supervisor, delay=600)()
    assert (waiting.status, later.status) == (100, 2)
    later.cancel()
    assert later.status == -1
    go_on.set()


@pytest.mark.parametrize(("function", "result"), [(int, 0), (fail, None)])
def test_the_callback_comes_whatever_happened(supervisor, until, function, result):
    results = []
    background_task(function, supervisor=supervisor, callback=results.append)()
    until(lambda: results)
    assert results == [result]


def test_the_callback_comes_for_a_task_that_was_cancelled(supervisor):
    results = []
    task = background_task(int, supervisor=supervisor, callback=results.append, delay=600)()
    task.cancel()
    assert results == [None]


def test_a_task_is_put_by_its_target_and_gets_its_id(supervisor):
    def target(first, **kwargs):
        return first, kwargs["second"], kwargs["_task_id"]

    task = supervisor.put_task(target=target, args=(1,), kwargs={"second": 2}, task_id="mine")
    assert wait_completed(task, timeout=10) == (1, 2, "mine")


def test_a_task_is_known_until_it_has_ended(supervisor, until):
    go_on = threading.Event()
    task = supervisor.put_task(go_on.wait)
    until(task.is_started)
    assert supervisor.get_tasks() == supervisor.get_tasks(TT_THREAD) == {task.id: task}
    assert supervisor.get_tasks(TT_COROUTINE) == {}
    assert supervisor.mark_task_completed(task_id=task.id)
    go_on.set()
    until(lambda: not supervisor.get_tasks())
    assert not supervisor.mark_task_completed(task=task)


def test_an_option_that_no_task_has_is_refused(supervisor):
    with pytest.raises(UnknownOption, match="when"):
        supervisor.put_task(int, when=1)


def test_a_coroutine_runs_on_an_asyncio_loop_of_ones_own(supervisor):
    async def name():
        return threading.current_thread().name

    async def main():
        loop = asyncio.get_running_loop()
        task = background_task(name, supervisor=supervisor, loop=loop)()
        return await asyncio.wrap_future(task.future)

    assert asyncio.run(main()) == threading.current_thread().name


def test_a_task_that_begins_late_is_told_of(supervisor, until):
    late = []
    supervisor.timeout_warning = 0.0
    supervisor.timeout_warning_func = late.append
    task = supervisor.put_task(int)
    until(lambda: late)
    assert late == [task]
    supervisor.timeout_critical = 0.0
    supervisor.timeout_critical_func = lambda task: late.append(task.id)
    task = supervisor.put_task(int)
    until(lambda: late[-1] == task.id)


def test_a_collection_takes_a_poll_delay(supervisor):
    collection = TaskCollection(supervisor=supervisor, poll_delay=0.1)
    collection.append(int)
    assert list(collection.run().values()) == [0]
