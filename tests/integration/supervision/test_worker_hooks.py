"""The hooks of a background worker."""

import asyncio
import threading
import time
from contextlib import suppress

import pytest

from mainspring import (
    BackgroundEventWorker,
    BackgroundIntervalWorker,
    BackgroundQueueWorker,
    BackgroundWorker,
    Restart,
    background_worker,
)
from mainspring.background.aloop import START_TIMEOUT
from mainspring.errors import (
    AlreadyRunning,
    NotRunning,
)
from mainspring.model.events import ServiceStopped


def test_an_end_by_false_runs_the_hooks_and_unregisters(supervisor, until):
    diary = []

    class Short(BackgroundIntervalWorker):
        def before_stop(self):
            diary.append("before_stop")

        def send_stop_events(self):
            diary.append("send_stop_events")

        def after_stop(self):
            diary.append("after_stop")

        def run(self, **kwargs):
            return False

    worker = Short(interval=60, supervisor=supervisor)
    worker.start()
    until(lambda: len(diary) == 3)
    assert diary == ["before_stop", "send_stop_events", "after_stop"]
    assert supervisor.get_info()["workers"] == []


def test_hooks_are_called_in_order(supervisor, until):
    diary = []

    class Diarist(BackgroundWorker):
        def before_start(self):
            diary.append(("before_start", self.is_active(), self.is_started()))

        def after_start(self):
            diary.append(("after_start", self.is_active(), self.is_started()))

        def before_stop(self):
            diary.append("before_stop")

        def send_stop_events(self):
            diary.append("send_stop_events")

        def after_stop(self):
            diary.append(("after_stop", self.is_active(), self.is_started()))

        def run(self, **kwargs):
            time.sleep(0.001)

    worker = Diarist(supervisor=supervisor)
    worker.start()
    worker.stop()
    assert diary == [
        ("before_start", False, False),
        ("after_start", True, True),
        "before_stop",
        "send_stop_events",
        ("after_stop", False, False),
    ]


@pytest.mark.parametrize("hook", ["before_start", "after_start"])
def test_a_start_whose_hook_raises_fails_and_can_be_tried_again(supervisor, until, hook):
    broken = [True]

    def fail(self):
        if broken:
            raise OSError("not yet")

    kind = type("Kind", (BackgroundIntervalWorker,), {hook: fail, "run": lambda self, **k: None})
    worker = kind(interval=60, supervisor=supervisor)
    with pytest.raises(OSError, match="not yet"):
        worker.start()
    assert not worker.is_active()
    until(lambda: not worker.is_started())
    broken.clear()
    assert worker.start()


def test_a_hook_of_the_stop_that_raises_does_not_keep_it_from_stopping(supervisor, caplog):
    class Broken(BackgroundWorker):
        def before_stop(self):
            raise OSError("hook is broken")

        after_stop = send_stop_events = before_stop

        def run(self, **kwargs):
            time.sleep(0.001)

    worker = Broken(supervisor=supervisor)
    worker.start()
    assert worker.stop()
    assert caplog.text.count("OSError: hook is broken") == 3


HOOKS = ["before_start", "after_start", "before_stop", "send_stop_events", "after_stop"]


@pytest.mark.parametrize("what", ["start", "stop"])
@pytest.mark.parametrize("hook", HOOKS)
def test_start_and_stop_in_a_hook_never_deadlock_and_begin_no_second_life(
    supervisor, kind, of_kind, colour, hook, what, until
):
    lives, asked = [], []

    def call(self):
        if not asked:
            asked.append(1)
            with suppress(AlreadyRunning):
                getattr(self, what)()

    def make_trigger(self, start):
        lives.append(1)
        return base.make_trigger(self, start)

    def run(self, *args, **kwargs):
        time.sleep(0.001)

    async def arun(self, *args, **kwargs):
        await asyncio.sleep(0.001)

    base = type(background_worker(**of_kind)(lambda *a, **k: None))
    methods = {hook: call, "make_trigger": make_trigger, "run": run if colour == "sync" else arun}
    pace = {} if kind in ("queue", "event") else of_kind
    worker = type("Mine", (base,), methods)(supervisor=supervisor, **pace)
    assert worker.start()
    assert worker.stop(10)
    assert asked
    assert worker.stop(10)
    assert worker.is_stopped()
    assert len(lives) == (2 if (hook, what) == ("after_stop", "start") else 1)
    until(lambda: not supervisor.running_pools.workers.members)


@pytest.mark.parametrize("error", [OSError("not yet"), SystemExit(1), KeyboardInterrupt()])
def test_an_after_start_that_raises_leaves_no_worker_of_any_kind_running(
    supervisor, kind, of_kind, colour, feed, until, error
):
    errors = [error]

    def after_start(self):
        if errors:
            raise errors.pop()

    def run(self, *args, **kwargs):
        time.sleep(0.001)

    async def arun(self, *args, **kwargs):
        await asyncio.sleep(0.001)

    base = type(background_worker(**of_kind)(lambda *a, **k: None))
    methods = {"after_start": after_start, "run": run if colour == "sync" else arun}
    pace = {} if kind in ("queue", "event") else of_kind
    worker = type("Mine", (base,), methods)(supervisor=supervisor, **pace)
    with pytest.raises(type(error)):
        worker.start()
    assert not worker.is_active()
    until(worker.is_stopped)
    assert worker not in supervisor.workers.active()
    assert worker.start()
    feed(worker)
    until(lambda: worker.status().runs)


def ended(supervisor, hook, then):
    """Return a worker that ends of itself, and does `then` in a hook or when it has failed."""

    def run(self, **kwargs):
        if hook == "on_worker_failed":
            raise OSError("no sensor")
        return False

    if hook == "on_worker_failed":
        supervisor.on_worker_failed = lambda worker, error: then(worker)
        hooks = {}
    else:
        hooks = {hook: then}
    kind = type("Ending", (BackgroundIntervalWorker,), {"run": run, **hooks})
    return kind("ending", interval=60, supervisor=supervisor, restart=Restart(max_failures=0))


@pytest.fixture(params=["before_stop", "send_stop_events", "after_stop", "on_worker_failed"])
def hook(request):
    return request.param


def test_a_hook_of_the_end_may_start_the_first_async_worker(supervisor, until, hook):
    took, runs = [], []

    async def target():
        runs.append(1)

    other = background_worker(interval=60, supervisor=supervisor)(target)

    def start_other(worker):
        since = time.monotonic()
        other.start()
        took.append(time.monotonic() - since)

    ended(supervisor, hook, start_other).start()
    until(lambda: runs)
    until(lambda: took)
    assert took[0] < START_TIMEOUT / 2


def test_a_hook_of_the_end_that_takes_its_time_holds_up_no_other_worker(supervisor, until, hook):
    began, release, runs = threading.Event(), threading.Event(), []

    def wait(worker):
        began.set()
        release.wait(10)

    other = background_worker(interval=0.005, supervisor=supervisor)(lambda: runs.append(1))
    other.start()
    worker = ended(supervisor, hook, wait)
    worker.start()
    assert began.wait(10)
    count = len(runs)
    until(lambda: len(runs) > count + 5)
    assert not release.is_set()
    release.set()
    assert worker.stop()


@pytest.mark.parametrize("what", ["worker", "supervisor"])
def test_a_hook_of_the_end_that_stops_what_ends_does_not_deadlock(supervisor, until, hook, what):
    answers = []

    def stop(worker):
        answers.append((worker if what == "worker" else supervisor).stop())

    worker = ended(supervisor, hook, stop)
    since = time.monotonic()
    worker.start()
    until(lambda: answers)
    assert worker.stop()
    assert supervisor.stop()
    assert time.monotonic() - since < supervisor.grace


def test_a_stop_waits_for_the_hook_after_it_and_so_does_the_next_start(supervisor, until):
    began, release, over = threading.Event(), threading.Event(), []

    class Slow(BackgroundIntervalWorker):
        def run(self, **kwargs):
            pass

        def after_stop(self):
            began.set()
            release.wait(10)
            over.append(1)

    worker = Slow(interval=60, supervisor=supervisor)
    worker.start()
    assert not worker.stop(0.05)
    assert began.wait(10)
    assert not over
    threading.Timer(0.05, release.set).start()
    assert worker.start()
    assert over
    assert worker.stop()


def test_a_supervisor_leaves_a_hook_behind_that_does_not_end(supervisor, until, caplog):
    release = threading.Event()

    class Stuck(BackgroundIntervalWorker):
        def run(self, **kwargs):
            pass

        def after_stop(self):
            release.wait(60)

    Stuck("stuck", interval=60, supervisor=supervisor).start()
    since = time.monotonic()
    assert supervisor.stop(0.1)
    assert time.monotonic() - since < supervisor.grace
    assert "thread 'stuck_end' does not end and is left behind" in caplog.text
    release.set()


def test_a_subscriber_on_the_supervisors_loop_does_not_hold_it_up(supervisor, until):
    took, caught = [], []

    async def target():
        pass

    other = background_worker(interval=60, supervisor=supervisor)(target)

    def start_other(event):
        if isinstance(event, ServiceStopped) and not took:
            since = time.monotonic()
            try:
                other.start()
            except NotRunning as error:
                caught.append(error)
            took.append(time.monotonic() - since)

    supervisor.subscribe(start_other)
    background_worker(interval=60, supervisor=supervisor)(lambda: False).start()
    until(lambda: took)
    assert took[0] < START_TIMEOUT / 2
    assert caught
    until(lambda: supervisor.get_aloop().active)
    assert other.start()


def test_a_process_result_of_its_own_sees_each_result_and_can_end_it(supervisor, until):
    seen = []

    class Judge(BackgroundIntervalWorker):
        def run(self, **kwargs):
            return 7

        def process_result(self, result):
            seen.append(result)
            return len(seen) < 3

    worker = Judge(interval=0.001, supervisor=supervisor)
    worker.start()
    until(worker.is_stopped)
    assert seen == [7, 7, 7]


KIND_CLASSES = {
    "continuous": (BackgroundWorker, {}),
    "queue": (BackgroundQueueWorker, {}),
    "event": (BackgroundEventWorker, {}),
    "interval": (BackgroundIntervalWorker, {"interval": 0.002}),
    "delay": (BackgroundIntervalWorker, {"delay": 0.002}),
}


def test_hooks_of_every_kind_see_the_states_of_the_pages(supervisor, kind, colour, feed, until):
    diary = []

    def note(name):
        return lambda self, *a: diary.append((name, self.is_active(), self.is_started()))

    def run(self, *args, **kwargs):
        time.sleep(0.001)

    async def arun(self, *args, **kwargs):
        await asyncio.sleep(0.001)

    base, options = KIND_CLASSES[kind]
    hooks = ("before_start", "after_start", "before_stop", "send_stop_events", "after_stop")
    methods = {name: note(name) for name in hooks}
    diarist = type("Diarist", (base,), {**methods, "run": arun if colour == "async" else run})
    worker = diarist(supervisor=supervisor, **options)
    worker.start()
    feed(worker)
    until(lambda: worker.status().runs >= 1)
    worker.stop()
    assert diary == [
        ("before_start", False, False),
        ("after_start", True, True),
        ("before_stop", False, True),
        ("send_stop_events", False, True),
        ("after_stop", False, False),
    ]


def test_process_result_sees_each_result_and_may_stop_its_worker(supervisor, colour, kind, until):
    seen = []

    def process_result(self, result):
        seen.append(result)
        self.stop()

    async def arun(self, *args, **kwargs):
        return 7

    base, options = KIND_CLASSES[kind]
    run = arun if colour == "async" else lambda self, *args, **kwargs: 7
    worker = type("Judge", (base,), {"run": run, "process_result": process_result})(
        supervisor=supervisor, **options
    )
    worker.start()
    if kind == "queue":
        worker.put_threadsafe(1)
    elif kind == "event":
        worker.trigger_threadsafe()
    until(worker.is_stopped)
    assert seen == [7]


@pytest.mark.parametrize("verdict", [False, None, 0, ""])
def test_only_false_from_process_result_ends_a_worker(supervisor, colour, until, verdict):
    seen = []

    def process_result(self, result):
        seen.append(result)
        return verdict

    async def arun(self, **kwargs):
        return "result"

    run = arun if colour == "async" else lambda self, **kwargs: "result"
    kind = type(
        "Judge", (BackgroundIntervalWorker,), {"run": run, "process_result": process_result}
    )
    worker = kind("judge", interval=0.001, supervisor=supervisor)
    worker.start()
    if verdict is False:
        until(worker.is_stopped)
        assert seen == ["result"]
    else:
        until(lambda: len(seen) > 3)
        assert worker.is_active()
