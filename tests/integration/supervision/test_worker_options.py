"""The options and names of background workers."""

import threading
import time

import pytest

from mainspring import (
    BackgroundEventWorker,
    BackgroundIntervalWorker,
    BackgroundQueueWorker,
    BackgroundWorker,
    background_worker,
)
from mainspring.background.workers.hooks import NEVER_AWAITED
from mainspring.errors import (
    DuplicateName,
    InvalidOption,
    UnknownOption,
)


def test_two_active_workers_of_one_name_are_refused(supervisor):
    first = background_worker(event=True, name="w", supervisor=supervisor)(print)
    second = background_worker(event=True, name="w", supervisor=supervisor)(print)
    first.start()
    with pytest.raises(DuplicateName, match="'w'"):
        second.start()
    first.stop()
    assert second.start()


def test_a_class_worker_without_a_name_gets_one_of_its_own():
    class Mine(BackgroundWorker):
        def run(self, **kwargs):
            pass

    assert Mine().name != Mine().name


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"interval": 1, "delay": 1}, InvalidOption, "delay"),
        ({"interval": 0}, InvalidOption, "interval"),
        ({"interval": -1}, InvalidOption, "interval"),
        ({"intervall": 1}, UnknownOption, "intervall"),
        ({"interval": 1, "misfire": "later"}, InvalidOption, "misfire"),
        ({"interval": 1, "queue": True}, InvalidOption, "interval"),
        ({"queue": list}, InvalidOption, "queue"),
        ({"event": True, "executor": "gpu"}, InvalidOption, "executor"),
        ({"cron": "61 * * * *"}, InvalidOption, "cron"),
        ({"cron": "* * * * *", "tz": "Nowhere/Land"}, InvalidOption, "tz"),
        ({"interval": 1, "tz": "UTC"}, InvalidOption, "tz"),
        ({"cron": "* * * * *", "interval": 1}, InvalidOption, "interval"),
        ({"event": True, "on_error": "print"}, InvalidOption, "on_error"),
        ({"event": True, "priority": "high"}, InvalidOption, "priority"),
        ({"priority": True}, InvalidOption, "priority"),
        ({"interval": "1"}, InvalidOption, "interval"),
        ({"interval": None}, InvalidOption, "interval"),
        ({"interval": True}, InvalidOption, "interval"),
        ({"delay": "1"}, InvalidOption, "delay"),
        ({"delay": 1, "misfire": "skip"}, InvalidOption, "misfire"),
        ({"cron": "* * * * *", "misfire": "skip"}, InvalidOption, "misfire"),
        ({"cron": "* * * * *", "jitter": 1}, InvalidOption, "jitter"),
        ({"poll_delay": "fast"}, InvalidOption, "poll_delay"),
        ({"restart": 5}, InvalidOption, "restart"),
        ({"supervisor": "mine"}, InvalidOption, "supervisor"),
        ({"loop": 5}, InvalidOption, "loop"),
        ({"on_error_kwargs": ["error"]}, InvalidOption, "on_error_kwargs"),
        ({"name": 5}, InvalidOption, "name"),
        ({"fn": print}, InvalidOption, "fn"),
        ({"queue": True, "interval_": 1}, UnknownOption, "interval_"),
        ({"jitter": 1}, UnknownOption, "jitter"),
    ],
)
def test_an_option_that_makes_no_sense_is_named_at_construction(options, error, named):
    with pytest.raises(error) as caught:
        background_worker(**options)(lambda: None)
    assert caught.value.option == named


@pytest.mark.parametrize(
    ("kind", "options", "error", "named"),
    [
        (BackgroundWorker, {"interval": 1}, UnknownOption, "interval"),
        (BackgroundQueueWorker, {"event": True}, UnknownOption, "event"),
        (BackgroundEventWorker, {"q": True}, UnknownOption, "q"),
        (BackgroundIntervalWorker, {"interval": 1, "colour": "red"}, UnknownOption, "colour"),
        (BackgroundIntervalWorker, {}, InvalidOption, "interval"),
        (BackgroundIntervalWorker, {"interval": 0}, InvalidOption, "interval"),
    ],
)
@pytest.mark.parametrize("form", ["func", "class"])
def test_a_constructor_names_an_option_that_makes_no_sense(kind, options, error, named, form):
    made = type("Mine", (kind,), {"run": lambda self, *a, **k: None})
    with pytest.raises(error) as caught:
        kind("w", print, **options) if form == "func" else made(**options)
    assert caught.value.option == named


def test_a_thread_is_no_executor_for_an_async_target():
    async def target():
        pass

    with pytest.raises(InvalidOption, match="executor"):
        background_worker(executor="thread")(target)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ({"_priority": "high"}, "priority"),
        ({"_name": 5}, "name"),
        ({"_loop": 5}, "loop"),
        ({"_loop": "nowhere"}, "loop"),
        ({"_interval": 0}, "interval"),
        ({"_interval": "1"}, "interval"),
        ({"_delay": -1}, "delay"),
        ({"_interval": 1, "_delay": 1}, "delay"),
    ],
)
def test_an_override_that_makes_no_sense_fails_the_start_and_leaves_it_startable(
    make, until, override, named
):
    runs = []
    worker = make(lambda **_: runs.append(1), interval=0.01)
    with pytest.raises(InvalidOption) as caught:
        worker.start(**override)
    assert caught.value.option == named
    assert not worker.is_started()
    assert worker.start(_name=None, _priority=None, _loop=None)
    until(lambda: len(runs) > 1)


@pytest.mark.parametrize("options", [{}, {"q": True}, {"e": True}, {"cron": "* * * * *"}])
@pytest.mark.parametrize("override", ["_interval", "_delay", "_delay_before"])
def test_a_pace_for_a_worker_that_has_none_is_an_error(make, options, override):
    worker = make(lambda *_, **__: None, **options)
    with pytest.raises(InvalidOption, match=override):
        worker.start(**{override: 1})
    assert not worker.is_started()


def test_name_and_loop_of_a_start_hold_for_that_life(make, of_kind, supervisor):
    supervisor.create_aloop("io")
    worker = make(lambda *_, **__: time.sleep(0.001), name="mine", **of_kind)
    worker.start(_name="other", _loop="io")
    assert worker.name == worker.status().name == "other"
    assert worker.restart()
    assert worker.name == "mine"


def test_a_poll_delay_of_its_own_is_readable_and_limits_nothing(make):
    worker = make(lambda item, **k: item, queue=True, poll_delay=5)
    assert worker.poll_delay == 5
    worker.start()
    since = time.monotonic()
    for number in range(20):
        assert worker.put_threadsafe(number).result(10) == number
    assert worker.stop()
    assert time.monotonic() - since < 5


def test_a_name_that_is_taken_is_an_error_that_names_both(supervisor):
    first = background_worker(event=True, name="w", supervisor=supervisor)(print)
    second = background_worker(interval=1, name="w", supervisor=supervisor)(print)
    first.start()
    with pytest.raises(DuplicateName) as caught:
        second.start()
    assert repr(first) in str(caught.value)
    assert repr(second) in str(caught.value)
    assert not second.is_active()
    assert first.is_active()


def test_a_static_run_stays_in_a_thread_if_that_is_said(supervisor, until):
    threads = []

    class Here(BackgroundIntervalWorker):
        @staticmethod
        def run():
            threads.append(threading.current_thread().name)

    Here(interval=60, executor="thread", supervisor=supervisor).start()
    until(lambda: threads)
    assert threads[0].startswith("test_thread")


@pytest.mark.parametrize("executor", ["thread", "process"])
def test_an_executor_for_an_async_target_is_refused(executor):
    async def target():
        pass

    with pytest.raises(InvalidOption, match=f"executor='{executor}'"):
        background_worker(executor=executor)(target)


COMMON = ["name", "priority", "o", "on_error", "on_error_kwargs", "supervisor", "poll_delay"]
COMMON += ["loop", "executor", "restart"]
OF_A_PACE = ["interval", "delay", "delay_before"]
FIXED = [
    (BackgroundIntervalWorker, "jitter"),
    (BackgroundIntervalWorker, "misfire"),
    (BackgroundIntervalWorker, "cron"),
    (BackgroundIntervalWorker, "tz"),
    (BackgroundQueueWorker, "queue"),
    (BackgroundQueueWorker, "q"),
    (BackgroundEventWorker, "event"),
    (BackgroundEventWorker, "e"),
    (BackgroundWorker, "restart"),
]


@pytest.mark.parametrize(
    ("kind", "option"),
    [(BackgroundIntervalWorker, option) for option in COMMON + OF_A_PACE]
    + [(BackgroundWorker, option) for option in COMMON]
    + FIXED,
)
def test_an_option_in_the_body_of_a_class_would_do_nothing_and_is_refused(kind, option):
    with pytest.raises(TypeError, match=f"{option} of class Mine"):
        type("Mine", (kind,), {option: None})


@pytest.mark.parametrize(("kind", "option"), FIXED)
def test_an_option_that_can_not_be_set_later_is_refused(kind, option):
    worker = kind("w", print, **({"interval": 1} if kind is BackgroundIntervalWorker else {}))
    with pytest.raises(AttributeError, match=f"{option} of worker 'w'"):
        setattr(worker, option, None)


def test_attributes_of_ones_own_and_of_other_kinds_may_be_set():
    class Mine(BackgroundIntervalWorker):
        queue = ("mine",)

        def __init__(self):
            super().__init__(interval=1)
            self.event = self.seen = 1

        def run(self, **_):
            pass

        @property
        def poll_delay(self):
            return 1.0

    assert (Mine().queue, Mine().event, Mine().poll_delay) == (("mine",), 1, 1.0)


def test_a_name_that_was_not_given_and_is_taken_gets_a_number(supervisor):
    def poll(_name, **_):
        pass

    first, second = (background_worker(event=True, supervisor=supervisor)(poll) for _ in range(2))
    third = background_worker(event=True, supervisor=supervisor, name="poll")(poll)
    first.start()
    second.start()
    assert (first.name, second.name) == ("poll", "poll-2")
    with pytest.raises(DuplicateName):
        third.start()
    first.stop()
    second.stop()
    assert second.start()
    assert second.name == "poll"


@pytest.mark.parametrize("pace", ["interval", "delay", "delay_before"])
def test_a_pace_of_false_is_no_pace_and_not_without_a_pause(pace):
    with pytest.raises(InvalidOption, match=f"{pace}=False"):
        background_worker(**{pace: False})(print)


@pytest.mark.parametrize("hook", NEVER_AWAITED)
def test_an_async_hook_is_refused_since_nobody_would_await_it(hook):
    async def later(self, *_):
        pass

    with pytest.raises(TypeError, match=f"{hook} of class Mine is async"):
        type("Mine", (BackgroundQueueWorker,), {hook: later})
