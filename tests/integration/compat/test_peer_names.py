"""`mainspring.compat`: what neotasker and atasker do otherwise than the names of the package."""

import importlib
import threading

import pytest

import mainspring
from mainspring.compat import atasker, neotasker


@pytest.mark.parametrize("name", ["neotasker", "atasker", "async_task_worker"])
def test_a_module_has_what_it_lists(name):
    module = importlib.import_module(f"mainspring.compat.{name}")
    assert all(hasattr(module, one) for one in module.__all__)


def test_a_program_may_mix_both_imports():
    assert neotasker.task_supervisor is atasker.task_supervisor is mainspring.task_supervisor
    assert neotasker.BackgroundWorker is mainspring.BackgroundWorker


def fail():
    raise OSError("no such door")


@pytest.mark.parametrize("kind", [neotasker.FunctionCollection, atasker.TaskCollection])
def test_a_function_that_failed_has_the_result_none(kind):
    errors = []
    collection = kind(on_error=lambda error: errors.append(str(error)))
    collection.append(fail)
    collection.append(int)
    results, all_ok = collection.execute()
    assert (list(results.values()), all_ok, errors) == ([None, 0], False, ["no such door"])


def test_errors_among_the_results_have_their_traceback():
    collection = neotasker.FunctionCollection(include_exceptions=True, on_error=lambda: None)
    collection.append(fail)
    ((error, text),) = collection.run().values()
    assert isinstance(error, OSError)
    assert "in fail" in text


def test_without_on_error_the_first_error_is_raised():
    collection, called = neotasker.FunctionCollection(), []
    collection.append(fail, priority=1)
    collection.append(lambda: called.append(1))
    with pytest.raises(OSError, match="no such door"):
        collection.run()
    assert called == []


def test_waiting_for_tasks_raises_none_of_their_errors(supervisor):
    start = atasker.background_task(fail, supervisor=supervisor)
    later = atasker.background_task(int, supervisor=supervisor, delay=600)()
    later.cancel()
    assert atasker.wait_completed([start(), later], timeout=10) == [None, None]
    assert atasker.wait_completed(start(), timeout=10) is None
    assert start().status != atasker.TASK_STATUS_CANCELED


def test_waiting_for_a_task_ends_at_its_timeout(supervisor):
    go_on = threading.Event()
    task = atasker.background_task(go_on.wait, supervisor=supervisor)()
    with pytest.raises(TimeoutError):
        atasker.wait_completed(task, timeout=0.01)
    go_on.set()
