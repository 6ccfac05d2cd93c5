import asyncio
import subprocess
import sys
import threading
import time

import pytest

from mainspring import Restart
from mainspring.errors import AlreadyRunning, DuplicateName, NotRunning, ServiceFailed
from mainspring.model import events
from mainspring.supervision.loops.event_loop import EventLoopThread
from mainspring.supervision.loops.thread_calls import ThreadCalls
from mainspring.supervision.supervisor.policy import TOGETHER
from mainspring.supervision.supervisor.supervisor import Supervisor
from mainspring.supervision.triggers.continuous import Continuous
from mainspring.supervision.triggers.event import Event
from mainspring.supervision.triggers.interval import Interval
from mainspring.supervision.workers.worker import Worker


class Step:
    """A service that writes down what happens to it."""

    def __init__(self, name, diary, *, fails=(), stubborn=False):
        self.name = name
        self.diary = diary
        self.fails = list(fails)
        self.stubborn = stubborn
        self.closed = False
        self._wake = None

    async def run(self, started):
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        failure = self.fails.pop(0) if self.fails else None
        if failure == "start":
            raise OSError(f"{self.name} can't start")
        self.diary.append(f"{self.name} starts")
        started()
        if self.closed:
            return
        if failure == "later":
            raise OSError(f"{self.name} broke")
        await self._wake.wait()
        self.diary.append(f"{self.name} ends")

    def close(self):
        self.diary.append(f"{self.name} is asked")
        self.closed = True
        if self._wake is not None and not self.stubborn:
            self._loop.call_soon_threadsafe(self._wake.set)


def test_services_start_in_order_and_close_in_reverse_one_after_the_other():
    diary = []
    with Supervisor([Step("a", diary), Step("b", diary)]):
        assert diary == ["a starts", "b starts"]
    assert diary[2:] == ["b is asked", "b ends", "a is asked", "a ends"]


def test_a_service_that_fails_its_start_closes_those_before_it_and_raises():
    diary = []
    supervisor = Supervisor([Step("a", diary), Step("b", diary, fails=["start"]), Step("c", diary)])
    with pytest.raises(OSError, match="b can't start"):
        supervisor.start()
    assert "a ends" in diary
    assert "c starts" not in diary
    assert not supervisor.running


def test_a_service_that_fails_later_is_started_again(until):
    diary, told = [], []
    supervisor = Supervisor([Step("a", diary, fails=["later", "later"])])
    supervisor.subscribe(told.append)
    supervisor.start()
    until(lambda: diary.count("a starts") == 3)
    assert supervisor.services()[0].restarts == 2
    assert supervisor.failed is None
    supervisor.stop()
    assert [type(event) for event in told] == [
        events.ServiceStarted,
        events.ServiceCrashed,
        events.ServiceStarted,
        events.ServiceCrashed,
        events.ServiceStarted,
        events.ServiceStopped,
    ]


def test_a_service_that_fails_for_good_ends_the_supervisor_in_order():
    diary = []
    supervisor = Supervisor([Step("a", diary)])
    supervisor.add(Step("b", diary, fails=["later"]), restart=Restart(max_failures=0))
    supervisor.start()
    assert supervisor.join(10)
    assert isinstance(supervisor.failed, ServiceFailed)
    assert supervisor.failed.service == "b"
    assert isinstance(supervisor.failed.__cause__, OSError)
    assert diary[-1] == "a ends"


def test_a_worker_that_gives_up_is_not_started_again():
    def fail():
        raise OSError

    told = []
    supervisor = Supervisor([Worker("w", fail, Interval(0.001), restart=Restart(max_failures=1))])
    supervisor.subscribe(told.append)
    supervisor.start()
    assert supervisor.join(10)
    assert supervisor.failed.service == "w"
    assert [event.restart_in for event in told if isinstance(event, events.ServiceCrashed)] == [
        0,
        None,
    ]


def test_a_service_that_ends_by_itself_is_no_failure(until):
    supervisor = Supervisor([Worker("w", lambda: False, Continuous())])
    supervisor.start()
    until(lambda: supervisor.services()[0].state == "stopped")
    assert supervisor.running
    supervisor.stop()
    assert supervisor.failed is None


def test_a_service_that_does_not_end_is_cancelled_after_the_grace(caplog):
    diary = []
    supervisor = Supervisor([Step("a", diary), Step("b", diary, stubborn=True)])
    supervisor.start()
    began = time.monotonic()
    assert supervisor.stop(0.1)
    assert time.monotonic() - began < 2
    assert diary[-1] == "a ends"
    assert "'b' did not end" in caplog.text


def test_asked_again_it_ends_sooner_but_never_later(until):
    diary = []
    supervisor = Supervisor([Step("a", diary, stubborn=True)])
    supervisor.start()
    supervisor.close(60)
    until(lambda: "a is asked" in diary)
    supervisor.close(0)
    supervisor.close(60)
    assert supervisor.time_left() < 30
    assert supervisor.join(30)


def test_a_stuck_thread_does_not_hold_up_the_stop(caplog):
    release = threading.Event()
    supervisor = Supervisor([Worker("stuck", release.wait, Continuous())])
    supervisor.start()
    began = time.monotonic()
    assert supervisor.stop(0.1)
    assert time.monotonic() - began < 3
    release.set()
    assert "thread 'stuck' does not end" in caplog.text


def test_closing_during_a_rest_does_not_wait_for_it(until):
    diary = []
    service = Step("a", diary, fails=["later"] * 20)
    supervisor = Supervisor([service])
    supervisor.start()
    until(lambda: diary.count("a starts") >= 4)
    began = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - began < 1


def test_a_subscriber_that_raises_is_logged_and_goes_no_further(caplog):
    def grumble(event):
        raise ValueError("not my day")

    supervisor = Supervisor([Worker("w", int, Event())])
    supervisor.subscribe(grumble)
    supervisor.start()
    supervisor.stop()
    assert "not my day" in caplog.text


def test_it_runs_on_the_callers_loop():
    async def live():
        diary = []
        async with Supervisor([Step("a", diary)]) as supervisor:
            assert supervisor.running
            assert threading.active_count() == 1 + before
        assert diary[-1] == "a ends"

    before = threading.active_count() - 1
    asyncio.run(live())


def test_a_start_on_the_callers_loop_that_fails_raises():
    async def live():
        with pytest.raises(OSError, match="can't start"):
            await Supervisor([Step("a", [], fails=["start"])]).astart()

    asyncio.run(live())


def test_stop_from_a_coroutine_of_its_own_loop_only_asks():
    async def live():
        diary = []
        supervisor = Supervisor([Step("a", diary)])
        await supervisor.astart()
        supervisor.stop()
        await supervisor.ajoin()
        return diary

    assert asyncio.run(live())[-1] == "a ends"


def test_stop_from_inside_a_target_does_not_deadlock():
    supervisor = Supervisor()
    supervisor.add(Worker("w", supervisor.close, Continuous()))
    supervisor.start()
    assert supervisor.join(10)


def test_stop_before_start_and_twice_is_no_error():
    supervisor = Supervisor([Worker("w", int, Event())])
    assert supervisor.stop()
    assert supervisor.stop()
    with pytest.raises(NotRunning, match="make a new one"):
        supervisor.start()


def test_it_starts_once():
    with Supervisor() as supervisor, pytest.raises(AlreadyRunning):
        supervisor.start()


def test_two_services_of_one_name_are_refused():
    supervisor = Supervisor([EventLoopThread("io")])
    with pytest.raises(DuplicateName, match="io"):
        supervisor.add(EventLoopThread("io"))


def test_a_service_with_a_longer_grace_keeps_it():
    release, ended = threading.Event(), []

    def slow():
        release.wait(10)
        ended.append(1)
        return False

    inner = Supervisor([Worker("slow", slow, Continuous())], name="inner", grace=5.0)
    group = Supervisor(name="group", policy=TOGETHER)
    outer = Supervisor([group], grace=0.05)
    outer.start()
    group.launch(inner)
    assert outer.grace == 5.0
    outer.close()
    threading.Timer(0.3, release.set).start()
    assert outer.stop()
    assert ended == [1]


def test_a_supervisor_is_a_service_of_another():
    diary = []
    inner = Supervisor([Step("b", diary)], name="inner")
    with Supervisor([Step("a", diary), inner]):
        assert diary == ["a starts", "b starts"]
    assert diary[-1] == "a ends"
    assert not inner.running


def test_cancelling_its_run_closes_the_services_and_does_not_swallow_the_cancellation():
    diary = []

    async def live():
        supervisor = Supervisor([Step("a", diary), Step("b", diary, stubborn=True)])
        ready = asyncio.Event()
        task = asyncio.create_task(supervisor.run(ready.set))
        await ready.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(live())
    assert diary[-1] == "a ends"


def test_the_end_of_the_main_thread_ends_the_process_in_order():
    program = """
import threading
from mainspring.supervision.supervisor.supervisor import Supervisor
from mainspring.supervision.triggers.continuous import Continuous
from mainspring.supervision.triggers.interval import Interval
from mainspring.supervision.workers.worker import Worker

def work():
    threading.main_thread().join(1)
    print("a last run ended")
Supervisor([Worker("w", work, Interval(60))]).start()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "a last run ended" in done.stdout
    assert done.stderr == ""


def test_importing_starts_no_thread_and_no_loop():
    program = """
import threading
import mainspring.supervision.supervisor.supervisor, mainspring.supervision.workers.worker
assert threading.active_count() == 1
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_a_stop_in_the_middle_of_a_start_is_no_error(until):
    for _ in range(20):
        supervisor = Supervisor(name="s")
        errors = []

        def stop(supervisor=supervisor, errors=errors):
            try:
                while not supervisor.closing:
                    supervisor.join(0)
                supervisor.stop()
            except RuntimeError as error:
                errors.append(error)

        thread = threading.Thread(target=stop)
        thread.start()
        supervisor.start()
        supervisor.close()
        thread.join(10)
        assert errors == []


class Unready(Step):
    """A service that is ready only once it was asked to end."""

    async def run(self, started):
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        self.diary.append(f"{self.name} is not ready")
        await self._wake.wait()
        started()


def test_a_stop_reaches_a_service_that_is_not_ready_yet(until):
    diary = []
    supervisor = Supervisor([Step("a", diary), Unready("b", diary), Step("c", diary)])
    start = threading.Thread(target=supervisor.start)
    start.start()
    until(lambda: "b is not ready" in diary)
    assert supervisor.stop()
    start.join(10)
    assert not start.is_alive()
    assert diary[2:] == ["c is asked", "b is asked", "a is asked", "a ends"]


def test_a_failure_while_another_service_gets_ready_ends_the_start(until):
    diary, now = [], threading.Event()

    class Failing(Step):
        async def run(self, started):
            started()
            while not now.is_set():
                await asyncio.sleep(0.001)
            raise OSError(f"{self.name} broke")

    supervisor = Supervisor(name="s")
    supervisor.add(Failing("a", diary), restart=Restart(max_failures=0))
    supervisor.add(Unready("b", diary))
    threading.Thread(target=lambda: [until(lambda: "b is not ready" in diary), now.set()]).start()
    with pytest.raises(ServiceFailed, match="a broke"):
        supervisor.start()
    assert "b is asked" in diary


def test_the_reason_of_an_end_is_the_failure_that_came_first():
    diary = []

    class Dependent(Step):
        async def run(self, started):
            await super().run(started)
            raise OSError(f"{self.name} has lost what it stands on")

    supervisor = Supervisor(name="s")
    supervisor.add(Dependent("a", diary))
    supervisor.add(Step("b", diary, fails=["later"]), restart=Restart(max_failures=0))
    supervisor.start()
    assert supervisor.join(10)
    assert str(supervisor.failed.__cause__) == "b broke"


def test_a_service_that_raises_when_it_is_asked_to_end_is_cancelled_and_the_others_are_asked(
    caplog,
):
    diary = []

    class Clumsy(Step):
        def close(self):
            raise ValueError("close is wrong")

    with Supervisor([Step("a", diary), Clumsy("b", diary)], grace=0.01) as supervisor:
        pass
    assert supervisor.failed is None
    assert diary == ["a starts", "b starts", "a is asked", "a ends"]
    assert "close is wrong" in caplog.text


def test_a_start_on_the_callers_loop_that_is_cancelled_leaves_nothing_running():
    diary = []

    async def live():
        supervisor = Supervisor([Step("a", diary), Unready("b", diary)])
        start = asyncio.create_task(supervisor.astart())
        while "b is not ready" not in diary:
            await asyncio.sleep(0)
        start.cancel()
        await asyncio.wait([start], timeout=10)
        assert start.cancelled()
        assert not supervisor.running
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(live())
    assert "a ends" in diary


def test_it_can_be_asked_to_end_though_its_loop_was_closed_beneath_it():
    supervisor, loop = Supervisor(), asyncio.new_event_loop()
    loop.close()
    supervisor._calls = ThreadCalls(loop)  # as of a run that the loop has cut off
    supervisor.close()
    supervisor.close()
    assert supervisor.closing
