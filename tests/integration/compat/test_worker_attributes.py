"""A worker's options as its attributes: read, set before a start, some of them while it runs."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mainspring import (
    TASK_HIGH,
    BackgroundAsyncWorker,
    BackgroundEventWorker,
    BackgroundIntervalWorker,
    BackgroundQueueWorker,
    BackgroundWorker,
    background_worker,
)
from mainspring.errors import InvalidOption


@pytest.fixture
def event_worker(supervisor):
    """An event worker whose target fails with the payload it is given."""

    @background_worker(event=True, supervisor=supervisor)
    def fail(payload):
        raise OSError(payload)

    return fail


def ignore(**_):
    pass


def test_options_are_read_as_attributes():
    owner = object()
    worker = BackgroundIntervalWorker(
        "w", ignore, interval=2, o=owner, priority=TASK_HIGH, on_error=ignore, poll_delay=0.5
    )
    assert (worker.name, worker.o, worker.priority) == ("w", owner, TASK_HIGH)
    assert (worker.on_error, worker.on_error_kwargs, worker.poll_delay) == (ignore, {}, 0.5)
    assert (worker.interval, worker.delay, worker.keep_interval) == (2, 2, True)


def test_the_daemon_of_older_programs_is_accepted_and_said_to_have_no_effect(caplog):
    assert BackgroundIntervalWorker("w", ignore, daemon=True, interval=2).interval == 2
    assert "daemon of worker 'w' has no effect" in caplog.text
    caplog.clear()
    assert background_worker(daemon=False)(ignore).name == "ignore"
    assert not caplog.text


def test_options_set_before_the_start_hold(supervisor, until):
    seen = []
    worker = BackgroundQueueWorker(func=lambda item, o, _name: seen.append((item, o, _name)))
    worker.supervisor, worker.o, worker.priority = supervisor, "cellar", TASK_HIGH
    worker.set_name("north")
    worker.start()
    worker.put_threadsafe(1)
    until(lambda: seen)
    assert seen == [(1, "cellar", "north")]
    assert [one["name"] for one in supervisor.get_info()["workers"]] == ["north"]


def test_a_name_of_none_is_a_random_one():
    worker = BackgroundWorker("w", ignore)
    worker.set_name(None)
    assert len(worker.name) == 36


def test_a_loop_set_before_the_start_is_the_one_of_the_target(supervisor, until):
    supervisor.create_aloop("io")
    seen = []

    async def note():
        seen.append(threading.current_thread().name)

    worker = BackgroundAsyncWorker(func=note, supervisor=supervisor)
    worker.loop = "io"
    assert worker.loop == "io"
    worker.start()
    until(lambda: seen)
    assert worker.loop is supervisor.get_aloop("io").get_loop()
    assert seen[0] == "supervisor_aloop_io"


@pytest.mark.parametrize("option", ["name", "priority", "supervisor", "loop", "executor"])
def test_what_can_not_change_while_it_is_started_says_so(supervisor, option):
    worker = BackgroundEventWorker("w", ignore, supervisor=supervisor)
    worker.start()
    with pytest.raises(AttributeError, match=f"{option} of worker 'w' can't be set while"):
        setattr(worker, option, None)


def test_a_value_that_makes_no_sense_is_refused_and_changes_nothing():
    worker = BackgroundIntervalWorker("w", ignore, delay=1)
    with pytest.raises(InvalidOption, match="delay=-1"):
        worker.delay = -1
    with pytest.raises(InvalidOption, match="on_error='log'"):
        worker.on_error = "log"
    assert (worker.delay, worker.on_error) == (1, None)


def test_a_new_delay_holds_from_the_next_run(supervisor, until):
    runs = []
    worker = BackgroundIntervalWorker(func=lambda: runs.append(1), delay=0.01)
    worker.supervisor = supervisor
    worker.start()
    until(lambda: runs)
    worker.delay = 600
    seen = len(runs) + 1  # one may have been about to begin
    until(lambda: (worker.status().next_run is not None) and len(runs) <= seen)
    assert worker.delay == 600
    worker.stop()
    assert len(runs) <= seen + 1


def test_keep_interval_turns_a_delay_into_an_interval():
    worker = BackgroundIntervalWorker(func=ignore, delay=3)
    worker.keep_interval = True
    assert (worker.interval, worker.delay) == (3, 3)
    worker.keep_interval = False
    assert (worker.interval, worker.delay) == (None, 3)


def test_a_new_on_error_holds_from_the_next_run(event_worker, until):
    first, second = [], []
    event_worker.on_error = lambda error: first.append(str(error))
    event_worker.start()
    event_worker.trigger_threadsafe(payload="a")
    until(lambda: first)
    event_worker.on_error = lambda error, place: second.append((str(error), place))
    event_worker.on_error_kwargs = {"place": "cellar"}
    event_worker.trigger_threadsafe(payload="b")
    until(lambda: second)
    assert (first, second) == (["a"], [("b", "cellar")])


def test_error_may_be_overridden_and_sees_the_error_being_handled(supervisor, until):
    seen = []

    class Mine(BackgroundEventWorker):
        def run(self, **_):
            raise OSError("no such door")

        def error(self):
            seen.append(str(sys.exc_info()[1]))
            super().error()
            raise  # noqa: PLE0704  as the reference packages' own does

    worker = Mine(supervisor=supervisor, on_error=lambda error: seen.append(repr(error)))
    worker.start()
    worker.trigger_threadsafe()
    until(lambda: len(seen) == 2)
    assert seen == ["no such door", "OSError('no such door')"]
    assert worker.is_active()


def test_a_loop_of_its_own_runs_once_and_ends_the_worker(supervisor, until):
    seen = []

    class Mine(BackgroundWorker):
        def loop(self, *args, **kwargs):
            self.mark_started()
            while self.is_active():
                self.run(*args, **kwargs)
            self.mark_stopped()

        def run(self, first, **_):
            seen.append(first)

    worker = Mine(supervisor=supervisor)
    worker.start("reading")
    until(lambda: len(seen) > 2)
    assert worker.is_started()
    worker.stop()
    assert worker.is_stopped()
    assert set(seen) == {"reading"}


def test_an_async_loop_of_its_own_is_awaited(supervisor, until):
    class Mine(BackgroundAsyncWorker):
        async def loop(self):
            self.thread = threading.current_thread().name

    worker = Mine(supervisor=supervisor)
    worker.start(word="not for it")
    until(worker.is_stopped)
    assert worker.thread == "test_loop"


def test_a_worker_is_given_its_run_later(supervisor, until):
    seen = []
    worker = BackgroundIntervalWorker("w", interval=0.01, supervisor=supervisor)
    with pytest.raises(TypeError, match="no target"):
        worker.start()
    worker.run = lambda: seen.append(1)
    worker.start()
    until(lambda: seen)


def test_it_is_not_stopped_before_it_was_started(supervisor):
    worker = BackgroundEventWorker("w", ignore, supervisor=supervisor)
    assert not worker.is_stopped()
    worker.start()
    assert not worker.is_stopped()
    worker.stop()
    assert worker.is_stopped()


def test_wait_until_stop_waits_for_the_end(supervisor):
    ended = []

    class Mine(BackgroundEventWorker):
        def run(self, **_):
            pass

        def after_stop(self):
            ended.append(1)

    worker = Mine(supervisor=supervisor)
    worker.start()
    worker.stop(wait=False)
    worker.wait_until_stop()
    assert ended == [1]


def test_executor_func_is_another_name_of_the_target():
    def poll():
        return 7

    assert BackgroundWorker(executor_func=poll)() == 7
    with pytest.raises(InvalidOption, match="can't be combined with func"):
        BackgroundWorker(func=poll, executor_func=poll)


def test_a_pool_of_ones_own_runs_the_target(supervisor):
    with ThreadPoolExecutor(1, thread_name_prefix="mine") as pool:
        worker = BackgroundQueueWorker(
            func=lambda item, _task_id: (item, _task_id), pool=pool, supervisor=supervisor
        )
        worker.start()
        assert worker.put_threadsafe(1).result(timeout=10) == (1, "mine_0")
        worker.stop()


def test_a_pool_is_refused_for_a_target_that_it_can_not_run():
    async def later():
        pass

    with ThreadPoolExecutor(1) as pool, pytest.raises(InvalidOption, match="pool"):
        BackgroundAsyncWorker("w", later, pool=pool)


def test_who_holds_its_lock_puts_off_a_start_and_no_stop(supervisor, until):
    worker = BackgroundIntervalWorker(func=ignore, interval=1, supervisor=supervisor)
    started = threading.Event()

    def start():
        worker.start()
        started.set()

    with worker.start_stop_lock:
        threading.Thread(target=start).start()
        assert not started.wait(0.05)
        assert not worker.is_active()
    assert started.wait(30)
    with worker.start_stop_lock:
        assert worker.stop(wait=20)


class Shelf(BackgroundIntervalWorker):
    """Its own names are those that somebody is likely to take."""

    def __init__(self, supervisor):
        super().__init__(interval=0.01, supervisor=supervisor, on_error=self.configure)
        self._lock = threading.Lock()
        self._run = self._options = self._schedule = self._backlog = self._pace = None
        self.options = {"shelf": 7}
        self.seen = []

    def before_start(self):
        with self._lock:
            self.seen.clear()

    def configure(self, error):
        self.seen.append(str(error))

    def _begin(self):
        raise AssertionError

    _target = _gate = _make_run = _begin

    def run(self):
        raise OSError(self.options["shelf"])


def test_a_subclass_may_have_names_of_its_own(supervisor, until):
    shelf = Shelf(supervisor)
    shelf.start()
    until(lambda: shelf.seen)
    shelf.delay = 0.02
    assert shelf.interval == 0.02
    assert shelf.stop()
    assert shelf.seen[0] == "7"
