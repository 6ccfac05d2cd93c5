"""`mainspring.compat`: what neotasker and atasker do otherwise than the names of the package."""

import importlib
import threading

import pytest

import mainspring
from mainspring.compat import atasker, neotasker
from mainspring.errors import InvalidOption, UnknownOption


@pytest.mark.parametrize("name", ["neotasker", "atasker", "async_task_worker"])
def test_a_module_has_what_it_lists(name):
    module = importlib.import_module(f"mainspring.compat.{name}")
    assert all(hasattr(module, one) for one in module.__all__)


def test_a_program_may_mix_both_imports():
    assert neotasker.task_supervisor is atasker.task_supervisor is mainspring.task_supervisor
    assert neotasker.background_worker is mainspring.background_worker


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


class Pinger(neotasker.BackgroundIntervalWorker):
    """As programs write it: what is its own goes by the constructor of the worker, too."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.controller = kwargs.get("controller")
        self.pool = kwargs.get("pool")
        self._lock = threading.Lock()
        self.seen = []

    def before_start(self):
        with self._lock:
            self.seen.clear()

    def run(self, **kwargs):
        self.seen.append(kwargs["o"])


def test_a_subclass_hands_on_options_of_its_own(supervisor, until):
    pinger = Pinger("p", interval=0.01, controller="c", pool=[1], o="o", supervisor=supervisor)
    assert (pinger.controller, pinger.pool, pinger.interval) == ("c", [1], 0.01)
    pinger.start()
    until(lambda: pinger.seen)
    pinger.stop()
    assert pinger.seen[0] == "o"
    with pytest.raises(UnknownOption, match="'controller'"):
        neotasker.BackgroundIntervalWorker("p", print, interval=1, controller="c")
    with pytest.raises(InvalidOption, match="pool"):
        neotasker.BackgroundWorker("p", print, pool=[1])


@pytest.mark.parametrize(
    ("options", "pace"),
    [
        ({}, (1, False)),
        ({"interval": None}, (1, True)),
        ({"delay_after": 3}, (3, False)),
        ({"delay": 2, "delay_after": 3}, (2, False)),
        ({"interval": 2}, (2, True)),
    ],
)
def test_an_interval_worker_that_is_given_no_pace_has_one_of_a_second(options, pace):
    worker = Pinger("p", **options)
    assert (worker.delay, worker.keep_interval) == pace


def test_workers_of_either_import_are_the_same_kinds():
    for name in ("", "Async", "Queue", "Event", "Interval"):
        kind = getattr(neotasker, f"Background{name}Worker")
        assert kind is getattr(atasker, kind.__name__)
        assert issubclass(kind, getattr(mainspring, kind.__name__))
        assert issubclass(kind, neotasker.BackgroundWorker)
