import asyncio
import functools
import logging
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from mainspring import Restart
from mainspring.errors import AlreadyRunning, InvalidOption, ServiceFailed
from mainspring.model import events
from mainspring.supervision.triggers.backlog import Backlog, Items
from mainspring.supervision.triggers.continuous import Continuous
from mainspring.supervision.triggers.event import Event
from mainspring.supervision.triggers.interval import Interval
from mainspring.supervision.triggers.scheduled import Scheduled
from mainspring.supervision.workers.worker import CANCELLED_REST, Worker, is_async


@pytest.fixture(params=["sync", "async"])
def kind(request):
    return request.param


@pytest.fixture
def make(kind):
    """Make a worker of a plain function, as it is or as a coroutine function."""

    def worker(target, trigger, **options):
        if kind == "sync":
            return Worker("w", target, trigger, **options)

        async def atarget(*args):
            await asyncio.sleep(0)
            return target(*args)

        return Worker("w", atarget, trigger, **options)

    return worker


def live(worker, condition, auntil):
    """Run a worker until the condition holds, close it, and return what `run` raised."""

    async def run():
        task = asyncio.create_task(worker.run(lambda: None))
        try:
            await auntil(lambda: condition() or task.done())
        finally:
            worker.close()
        await asyncio.wait([task], timeout=10)
        return task.exception()

    return asyncio.run(run())


def test_it_runs_its_target_until_closed(make, auntil):
    runs = []
    worker = make(lambda: runs.append(1), Continuous())
    assert live(worker, lambda: len(runs) >= 5, auntil) is None
    assert worker.status().runs == len(runs)
    assert worker.status().state == "stopped"


def test_a_target_that_raises_is_logged_counted_told_and_goes_on(make, auntil, caplog):
    told = []

    def fail():
        raise OSError("no sensor")

    worker = make(fail, Interval(0.001))
    worker.subscribe(told.append)
    assert live(worker, lambda: len(told) >= 3, auntil) is None
    assert worker.status().errors == worker.status().runs >= 3
    assert worker.status().error == "OSError('no sensor')"
    assert isinstance(told[0], events.ServiceCrashed)
    assert told[0].restart_in == 0
    assert "no sensor" in caplog.text
    assert "Traceback" in caplog.text


def test_a_continuous_target_that_always_raises_does_not_spin(make, auntil):
    runs = []

    def fail():
        runs.append(time.monotonic())
        raise OSError

    live(make(fail, Continuous()), lambda: len(runs) >= 4, auntil)
    assert runs[1] - runs[0] < 0.05
    assert runs[3] - runs[1] >= 0.05 + 0.1


class Hourly:
    def next_after(self, moment):
        return moment + timedelta(hours=1)


def filled(items):
    backlog = Backlog()
    for item in items:
        backlog.put(item)
    return backlog


def test_an_error_that_is_logged_elsewhere_is_counted_and_not_logged_again(make, auntil, caplog):
    def fail():
        raise [ConnectionError, ValueError][worker.status().errors % 2]

    worker = make(fail, Interval(0.001), unlogged=(OSError,))
    live(worker, lambda: worker.status().errors >= 3, auntil)
    assert caplog.messages
    assert all("ValueError" in text for text in caplog.messages)


@pytest.mark.parametrize(
    "make_trigger",
    [
        Event,
        lambda: Interval(3600),
        lambda: Scheduled(Hourly()),
        lambda: Items(filled("abc")),
    ],
    ids=["event", "interval", "cron", "queue"],
)
def test_a_failing_worker_whose_trigger_sets_the_pace_keeps_to_it(make, auntil, make_trigger):
    told = []

    def fail(*items):
        raise OSError

    trigger = make_trigger()
    worker = make(fail, trigger)
    worker.subscribe(told.append)

    def failed_three_times():
        if not isinstance(trigger, Items) and worker.status().state == "idle":
            worker.wake()
        return len(told) >= 3

    assert live(worker, failed_three_times, auntil) is None
    assert {event.restart_in for event in told} == {0}


def test_too_many_failures_end_it_with_a_reason(make, auntil):
    told = []

    def fail():
        raise OSError("no sensor")

    worker = make(fail, Interval(0.001), restart=Restart(max_failures=2, within=30))
    worker.subscribe(told.append)
    error = live(worker, lambda: False, auntil)
    assert isinstance(error, ServiceFailed)
    assert isinstance(error.__cause__, OSError)
    assert "no sensor" in str(error)
    assert worker.status().state == "failed"
    assert [event.restart_in for event in told] == [0, 0, None]


def test_only_false_ends_it(make, auntil):
    answers = iter([None, 0, "", [], True, False, None])
    worker = make(lambda: next(answers), Continuous())
    assert live(worker, lambda: False, auntil) is None
    assert worker.status().runs == 6


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_target_that_asks_for_the_end_of_the_program_ends_its_worker(make, auntil, error, caplog):
    def leave():
        raise error

    worker = make(leave, Continuous())
    assert live(worker, lambda: False, auntil) is None
    assert worker.status().errors == 0
    assert error.__name__ in caplog.text


def test_a_target_that_is_cancelled_from_within_goes_on(make, auntil):
    runs = []

    def cancel():
        runs.append(1)
        raise asyncio.CancelledError

    worker = make(cancel, Interval(0.001))
    assert live(worker, lambda: len(runs) >= 3, auntil) is None
    assert worker.status().errors == 0


def test_it_never_runs_twice_at_once(make, auntil):
    busy, overlaps, runs = [], [], []

    def work():
        overlaps.extend(busy)
        busy.append(1)
        runs.append(1)
        time.sleep(0.002)
        busy.pop()

    worker = make(work, Event())

    def wake():
        while len(runs) < 20:
            worker.wake()

    wakers = [threading.Thread(target=wake) for _ in range(3)]
    for one in wakers:
        one.start()
    live(worker, lambda: len(runs) >= 20, auntil)
    for one in wakers:
        one.join()
    assert overlaps == []


def test_no_wake_is_lost(make, auntil):
    runs = []
    worker = make(lambda: runs.append(1), Event())

    def one_by_one():
        for number in range(300):
            worker.wake()
            deadline = time.monotonic() + 10
            while len(runs) <= number and time.monotonic() < deadline:
                time.sleep(0)

    thread = threading.Thread(target=one_by_one)
    thread.start()
    live(worker, lambda: len(runs) >= 300, auntil)
    thread.join()
    assert len(runs) == 300


def test_a_wake_before_the_start_counts(make, auntil):
    runs = []
    worker = make(lambda: runs.append(1), Event())
    worker.wake()
    live(worker, lambda: runs, auntil)
    assert runs == [1]


def test_items_reach_the_target_in_order(make, auntil):
    got = []
    backlog = Backlog()
    for number in range(1000):
        backlog.put(number)
    live(make(got.append, Items(backlog)), lambda: len(got) == 1000, auntil)
    assert got == list(range(1000))


def test_no_run_begins_after_close_has_returned(make, auntil):
    runs = []
    worker = make(lambda: runs.append(1), Continuous())

    async def run():
        task = asyncio.create_task(worker.run(lambda: None))
        await auntil(lambda: len(runs) > 10)
        await asyncio.to_thread(worker.close)
        begun = worker.status().runs + (worker.status().state == "running")
        await task
        return begun

    assert asyncio.run(run()) >= len(runs)


def test_closing_ends_a_long_sleep_at_once(make, auntil):
    worker = make(lambda: None, Interval(3600))
    began = time.monotonic()
    live(worker, lambda: worker.status().runs == 1, auntil)
    assert time.monotonic() - began < 5


def test_cancelling_cancels_an_async_run():
    cancelled = []

    async def hang():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    async def run():
        worker = Worker("w", hang, Continuous())
        task = asyncio.create_task(worker.run(lambda: None))
        while worker.status().state != "running":
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(run())
    assert cancelled == [1]


def test_cancelling_leaves_a_stuck_thread_behind_and_says_where_it_is(caplog):
    release = threading.Event()

    async def run():
        worker = Worker("stuck one", release.wait, Continuous())
        task = asyncio.create_task(worker.run(lambda: None))
        while worker.status().state != "running":
            await asyncio.sleep(0.001)
        worker.close()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(run())
    release.set()
    assert "stuck one" in caplog.text
    assert "wait" in caplog.text


def test_an_async_target_that_never_waits_leaves_the_loop_to_others():
    runs = []

    async def spin():
        runs.append(1)

    async def run():
        worker = Worker("w", spin, Continuous())
        task = asyncio.create_task(worker.run(lambda: None))
        while len(runs) < 100:
            await asyncio.sleep(0)
        worker.close()
        await task

    asyncio.run(asyncio.wait_for(run(), 10))


def test_it_is_not_run_twice_at_once(make):
    async def run():
        worker = make(lambda: None, Event())
        task = asyncio.create_task(worker.run(lambda: None))
        await asyncio.sleep(0)
        with pytest.raises(AlreadyRunning):
            await worker.run(lambda: None)
        worker.close()
        await task

    asyncio.run(run())


def test_its_status_knows_when_it_ran_and_will_run(make, auntil):
    worker = make(lambda: None, Interval(100))
    seen = []

    async def run():
        task = asyncio.create_task(worker.run(lambda: None))
        await auntil(lambda: worker.status().runs == 1 and worker.status().next_run is not None)
        await auntil(lambda: worker.status().next_run > datetime.now(UTC) + timedelta(seconds=50))
        seen.append(worker.status())
        worker.close()
        await task

    asyncio.run(run())
    assert seen[0].state == "idle"
    assert seen[0].kind == "interval"
    assert abs(seen[0].next_run - seen[0].last_run - timedelta(seconds=100)) < timedelta(seconds=1)
    assert worker.status().next_run is None


@pytest.mark.parametrize(("thread", "target"), [(True, asyncio.sleep), (False, time.sleep)])
def test_a_thread_is_for_sync_targets(thread, target):
    with pytest.raises(InvalidOption, match="thread"):
        Worker("w", target, Event(), thread=thread)


def test_it_tells_an_async_target_by_what_it_is():
    async def target(item):
        pass

    class Callable:
        async def __call__(self):
            pass

    assert is_async(target)
    assert is_async(functools.partial(target, 1))
    assert is_async(Callable())
    assert is_async(Callable().__call__)
    assert not is_async(print)
    assert not is_async(functools.partial(print))


class Clumsy(Event):
    """Can't hand out its first run."""

    def __init__(self, error):
        super().__init__()
        self.errors = [error]

    def take(self, now):
        super().take(now)
        if self.errors:
            raise self.errors.pop()
        return ()


def test_a_trigger_that_raises_is_a_failed_run_and_the_next_one_works(make, auntil):
    trigger, runs = Clumsy(OSError("a hook")), []
    worker = make(lambda: runs.append(1), trigger)

    def ran():
        if worker.status().state == "idle":
            worker.wake()
        return runs

    assert live(worker, ran, auntil) is None
    assert worker.status().errors == 1
    assert "a hook" in worker.status().error


def test_a_trigger_that_exits_ends_the_worker(make, auntil):
    trigger = Clumsy(SystemExit(2))
    trigger.fire()
    worker = make(lambda: None, trigger)
    assert live(worker, lambda: False, auntil) is None
    assert worker.status().errors == 0


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_subscriber_that_exits_harms_no_worker(make, auntil, error):
    def leave(event):
        raise error(2)

    def fail():
        raise OSError("no sensor")

    worker = make(fail, Interval(0.001))
    worker.subscribe(leave)
    assert live(worker, lambda: worker.status().errors >= 2, auntil) is None


class Broken:
    def delay(self, attempt):
        raise ZeroDivisionError("backoff is broken")


def test_a_backoff_that_raises_is_logged_and_the_usual_one_stands_in(make, auntil, caplog):
    def fail():
        raise OSError("no sensor")

    worker = make(fail, Interval(0.001), restart=Restart(backoff=Broken()))
    assert live(worker, lambda: worker.status().errors >= 2, auntil) is None
    assert "backoff is broken" in caplog.text


class Lost:
    """A schedule that can't say when: always, or once it has ticked."""

    def __init__(self, ticks):
        self.ticks = ticks

    def next_after(self, moment):
        if not self.ticks:
            raise OSError("no calendar")
        self.ticks -= 1
        return moment


@pytest.mark.parametrize("ticks", [0, 2])
def test_a_schedule_that_raises_is_a_failed_run_and_does_not_spin(make, auntil, caplog, ticks):
    told = []
    worker = make(lambda: None, Scheduled(Lost(ticks)))
    worker.subscribe(told.append)
    since = time.monotonic()
    assert live(worker, lambda: worker.status().errors >= 3, auntil) is None
    # Rests of 0, 0.1 and 0.2 s, of which chance takes up to a half.
    assert time.monotonic() - since > 0.05
    assert worker.status().failing
    assert "no calendar" in worker.status().error
    assert "Traceback" in caplog.text
    assert len(told) == worker.status().errors


def test_a_schedule_that_raises_too_often_ends_its_worker(make, auntil):
    worker = make(lambda: None, Scheduled(Lost(0)), restart=Restart(max_failures=1))
    assert isinstance(live(worker, lambda: False, auntil), ServiceFailed)
    assert worker.status().state == "failed"


def test_a_schedule_that_finds_its_way_again_goes_on(make, auntil):
    schedule, runs = Lost(0), []

    def ran():
        if worker.status().errors:
            schedule.ticks = 1000
        return runs

    worker = make(lambda: runs.append(1), Scheduled(schedule))
    assert live(worker, ran, auntil) is None
    assert worker.status().state == "stopped"


class Unreadable(Exception):
    def __repr__(self):
        raise ValueError("it has no repr")


class BrokenHandler(logging.Handler):
    def emit(self, record):
        raise OSError("the log can't be written")


@pytest.fixture
def clumsy_log():
    log, handler = logging.getLogger("mainspring.supervision"), BrokenHandler()
    log.addHandler(handler)
    yield
    log.removeHandler(handler)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_that_can_not_be_read_is_a_failed_run_as_any(make, auntil):
    def fail():
        raise Unreadable

    worker = make(fail, Interval(0.001))
    assert live(worker, lambda: worker.status().errors >= 3, auntil) is None
    assert worker.status().runs == worker.status().errors
    assert "Unreadable" in worker.status().error
    fragile = make(fail, Interval(0.001), restart=Restart(max_failures=0))
    assert isinstance(live(fragile, lambda: False, auntil), ServiceFailed)
    assert fragile.status().state == "failed"


@pytest.mark.parametrize("error", [OSError, asyncio.CancelledError, SystemExit])
def test_a_log_handler_that_raises_holds_up_no_worker(make, auntil, clumsy_log, error):
    def fail():
        raise error

    worker = make(fail, Interval(0.001))
    ended = live(worker, lambda: worker.status().runs >= 3, auntil)
    assert ended is None
    assert worker.status().state == "stopped"


def test_a_next_run_that_no_calendar_has_is_none_in_the_status():
    worker = Worker("w", print, Interval(1e15))
    worker.pause(time.monotonic())
    worker.begin(time.monotonic())
    worker.succeeded(None)
    worker.pause(time.monotonic())
    worker._active = True
    assert worker.counts.next_run > 1e14
    assert worker.status().next_run is None


def test_a_continuous_target_that_is_always_cancelled_from_within_does_not_spin(make, auntil):
    runs = []

    def cancel():
        runs.append(time.monotonic())
        raise asyncio.CancelledError

    assert live(make(cancel, Continuous()), lambda: len(runs) >= 4, auntil) is None
    assert runs[3] - runs[0] >= 2.9 * CANCELLED_REST
