import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mainspring.background.supervisor import info
from mainspring.background.supervisor.front import TaskSupervisor
from mainspring.background.supervisor.schedulers import SchedulerService
from mainspring.background.tasks.task import Task, TaskPlan
from mainspring.background.tasks.waiting import wait_completed
from mainspring.background.workers.decorator import background_worker
from mainspring.background.workers.interval import BackgroundIntervalWorker
from mainspring.errors import DuplicateName, InvalidOption, NotRunning
from mainspring.model import events


def test_a_worker_starts_a_supervisor_that_nobody_started(supervisor, until):
    runs = []
    background_worker(interval=60, supervisor=supervisor)(lambda: runs.append(1)).start()
    until(lambda: runs)
    assert supervisor.active


def test_it_starts_stops_and_starts_again(supervisor, until):
    runs = []
    worker = background_worker(interval=60, supervisor=supervisor)(lambda: runs.append(1))
    for number in range(1, 4):
        assert supervisor.start()
        assert not supervisor.start()
        worker.start()
        until(lambda number=number: len(runs) == number)
        assert supervisor.stop()
        assert not supervisor.active
        assert worker.is_stopped()


def test_stop_before_start_and_twice_is_no_error():
    made = TaskSupervisor()
    assert made.stop()
    assert made.stop()
    made.start()
    made.stop()
    assert made.stop()


def test_nothing_of_ours_outlives_a_stop(supervisor, until):
    before = set(threading.enumerate())

    async def target():
        pass

    supervisor.create_aloop("io")
    for number in range(5):
        options = {"supervisor": supervisor, "name": f"w{number}"}
        background_worker(interval=0.001, **options)(lambda: None).start()
        background_worker(interval=0.001, supervisor=supervisor, name=f"a{number}")(target).start()
    supervisor.spawn(time.sleep, 0.01)
    assert supervisor.stop()
    assert set(threading.enumerate()) == before


def test_workers_stop_last_started_first_and_loops_after_them(supervisor):
    diary = []

    def note(event):
        if isinstance(event, events.ServiceStopped):
            diary.append(event.service)

    async def target():
        pass

    supervisor.subscribe(note)
    supervisor.create_aloop("io")
    for name in ("first", "second"):
        background_worker(interval=60, name=name, loop="io", supervisor=supervisor)(target).start()
    supervisor.stop()
    assert diary.index("second") < diary.index("io")
    assert diary.index("first") < diary.index("io")


def test_a_stop_ends_workers_and_jobs_then_loops_then_pools(supervisor, until):
    diary, ran = [], []

    def note(event):
        if isinstance(event, events.ServiceStopped):
            diary.append(event.service)

    supervisor.subscribe(note)
    supervisor.create_aloop("io")
    supervisor.create_async_job_scheduler("jobs")
    job = supervisor.create_async_job(lambda: ran.append(1), interval=60)
    worker = background_worker(interval=60, name="w", supervisor=supervisor)
    worker(lambda: ran.append(1)).start()
    until(lambda: len(ran) == 2)
    supervisor.stop()
    pool = supervisor.threads.name
    assert sorted(diary[:2]) == sorted(["w", job.name])
    assert [one for one in diary[2:] if one in ("io", pool)] == ["io", pool]


def test_schedulers_are_stopped_the_last_registered_first(supervisor):
    diary = []

    class Scheduler:
        def __init__(self, name):
            self.name = name

        def stop(self):
            diary.append(self.name)
            raise OSError("a stop that raises keeps no other from stopping")

    supervisor.start()
    for name in ("first", "second"):
        supervisor.register_sync_scheduler(Scheduler(name))
    supervisor.stop()
    assert diary == ["second", "first"]


def test_workers_are_asked_to_stop_the_last_started_first(supervisor):
    diary = []

    class Diarist(BackgroundIntervalWorker):
        def before_stop(self):
            diary.append(self.name)

        def run(self, **kwargs):
            pass

    for name in ("first", "second", "third"):
        Diarist(name, interval=60, supervisor=supervisor).start()
    supervisor.stop()
    assert diary == ["third", "second", "first"]


def test_a_stop_without_a_limit_has_its_grace():
    made = TaskSupervisor("short", grace=0.2)
    assert TaskSupervisor().grace == 25
    made.start()
    future = made.background_task(asyncio.sleep(3600))
    since = time.monotonic()
    assert made.stop()
    assert time.monotonic() - since < 3
    assert future.cancelled()


def test_subscribers_are_told_what_happens_to_a_worker(supervisor, until):
    told = []
    supervisor.subscribe(told.append)

    def fail():
        raise OSError("no sensor")

    worker = background_worker(interval=0.001, name="w", supervisor=supervisor)(fail)
    worker.start()
    until(lambda: worker.status().errors > 2)
    worker.stop()
    mine = [event for event in told if getattr(event, "service", None) == "w"]
    assert isinstance(mine[0], events.ServiceStarted)
    assert isinstance(mine[1], events.ServiceCrashed)
    assert isinstance(mine[1].error, OSError)
    assert mine[1].restart_in == 0
    assert isinstance(mine[-1], events.ServiceStopped)


def test_stop_with_a_limit_cancels_stuck_coroutines(supervisor):
    supervisor.start()
    future = supervisor.background_task(asyncio.sleep(3600))
    since = time.monotonic()
    assert supervisor.stop(wait=0.2)
    assert time.monotonic() - since < 2
    assert future.cancelled()


def test_stop_without_waiting_returns_at_once(supervisor, until):
    supervisor.start()
    supervisor.spawn(time.sleep, 0.2)
    since = time.monotonic()
    supervisor.stop(wait=False)
    assert time.monotonic() - since < 0.1
    assert not supervisor.active


def test_cancelling_tasks_does_not_wait_for_them(supervisor, until):
    supervisor.set_thread_pool(pool_size=1)
    supervisor.start()
    release, began = threading.Event(), threading.Event()

    def hold():
        began.set()
        release.wait(10)

    supervisor.spawn(hold)
    began.wait(10)
    waiting = supervisor.spawn(print)
    coroutine = supervisor.background_task(asyncio.sleep(3600))
    threading.Timer(0.05, release.set).start()
    since = time.monotonic()
    supervisor.stop(cancel_tasks=True)
    assert time.monotonic() - since < 3
    assert waiting.cancelled()
    assert coroutine.cancelled()


def test_a_thread_stuck_in_user_code_is_named_and_left(supervisor, caplog, until):
    release = threading.Event()
    worker = background_worker(name="stuck one", supervisor=supervisor)(release.wait)
    worker.start()
    until(lambda: worker.status().state == "running")
    since = time.monotonic()
    supervisor.stop(wait=0.1)
    assert time.monotonic() - since < 3
    release.set()
    assert "stuck one" in caplog.text


def test_more_plain_workers_than_pool_threads_all_run(supervisor, until):
    supervisor.set_thread_pool(pool_size=2)
    seen = set()

    def make(number):
        def target():
            seen.add(number)
            time.sleep(0.001)

        return background_worker(name=f"w{number}", supervisor=supervisor)(target)

    for number in range(20):
        make(number).start()
    until(lambda: len(seen) == 20)


def test_a_blocked_loop_is_reported_with_its_stack_and_others_go_on(supervisor, until, caplog):
    told, runs, release = [], [], threading.Event()
    supervisor.subscribe(lambda event: isinstance(event, events.LoopStalled) and told.append(event))
    supervisor.create_aloop("blocked")
    supervisor.create_aloop("free")

    async def block():
        release.wait(10)

    async def work():
        runs.append(1)

    supervisor.get_aloop("blocked").spawn_coroutine_threadsafe(block())
    background_worker(interval=0.01, loop="free", supervisor=supervisor)(work).start()
    until(lambda: told, 4)
    count = len(runs)
    until(lambda: len(runs) > count)
    assert not supervisor.health()["healthy"] or told[0].seconds < 2
    release.set()
    assert told[0].loop == "blocked"
    assert "release.wait" in told[0].stack
    assert "release.wait" in caplog.text


def test_get_info_serialises_to_json_and_tells_of_everything(supervisor, until):
    def fail():
        raise OSError("no sensor")

    background_worker(interval=0.001, name="bad", supervisor=supervisor)(fail).start()
    background_worker(queue=True, name="mail", supervisor=supervisor)(print).start()
    supervisor.create_aloop("io")
    until(lambda: supervisor.get_info()["workers"][0]["errors"] > 2)
    until(lambda: "io" in supervisor.get_info()["loops"])
    info = json.loads(json.dumps(supervisor.get_info()))
    assert info["id"] == "test"
    assert info["active"]
    assert {"size", "reserve_normal", "reserve_high", "busy", "queued"} <= set(
        info["pools"]["threads"]
    )
    bad, mail = info["workers"]
    assert bad["kind"] == "interval"
    assert "no sensor" in bad["error"]
    assert bad["restarts"] > 0
    assert mail["queued"] == 0
    assert supervisor.health()["failing_workers"] == ["bad"]
    assert supervisor.health()["healthy"]


def test_two_supervisors_are_fully_apart(supervisor):
    other = TaskSupervisor("other")
    one = background_worker(event=True, name="w", supervisor=supervisor)(print)
    two = background_worker(event=True, name="w", supervisor=other)(print)
    one.start()
    two.start()
    other.create_aloop("io")
    with pytest.raises(InvalidOption):
        supervisor.get_aloop("io")
    other.stop()
    assert two.is_stopped()
    assert one.is_active()


def test_loops_by_name(supervisor):
    aloop = supervisor.create_aloop("io", default=True, daemon=True)

    async def where():
        return threading.current_thread().name

    assert aloop.run_coroutine_threadsafe(where()) == "supervisor_aloop_io"
    assert aloop.spawn_coroutine_threadsafe(where()).result(10) == "supervisor_aloop_io"
    assert aloop.run(where()) == "supervisor_aloop_io"
    assert supervisor.background_task(where()).result(10) == "supervisor_aloop_io"
    assert supervisor.get_aloop() is aloop
    assert supervisor.get_loop() is aloop.get_loop()
    with pytest.raises(DuplicateName):
        supervisor.create_aloop("io")
    assert supervisor.stop_aloop("io")
    with pytest.raises(NotRunning):
        aloop.spawn_coroutine_threadsafe(where())
    assert supervisor.start_aloop("io")
    assert not supervisor.start_aloop("io")
    assert aloop.run(where()) == "supervisor_aloop_io"
    supervisor.set_default_aloop(None)
    assert supervisor.background_task(where()).result(10) == "test_loop"


def test_a_loop_that_waits_for_itself_is_told_so(supervisor):
    aloop = supervisor.create_aloop("io")

    async def wait_for_myself():
        return aloop.run(asyncio.sleep(0))

    with pytest.raises(RuntimeError, match="wait for itself"):
        aloop.run(wait_for_myself())


def test_aloops_come_back_with_the_supervisor(supervisor):
    aloop = supervisor.create_aloop("io")
    supervisor.stop()
    supervisor.start()
    assert aloop.run(asyncio.sleep(0, "back")) == "back"


def test_schedulers_of_ones_own_are_run_and_stopped(supervisor, until):
    diary = []

    class Scheduler:
        def __init__(self):
            self.stopping = False

        async def loop(self):
            diary.append("loop")
            while not self.stopping:
                await asyncio.sleep(0.001)
            diary.append("end")

        def stop(self):
            self.stopping = True

    class Plain:
        def stop(self):
            diary.append("plain stop")

    supervisor.register_scheduler(Scheduler())
    supervisor.register_sync_scheduler(Plain())
    forgotten = Plain()
    supervisor.register_sync_scheduler(forgotten)
    assert supervisor.unregister_sync_scheduler(forgotten)
    gone = Scheduler()
    supervisor.register_scheduler(gone)
    until(lambda: diary.count("loop") == 2)
    assert supervisor.unregister_scheduler(gone)
    until(lambda: "end" in diary)
    supervisor.stop()
    assert sorted(diary) == ["end", "end", "loop", "loop", "plain stop"]


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_jobs_run_so_many_times_and_never_overlap(supervisor, until, colour):
    runs = []

    def note(word):
        runs.append(word)

    async def anote(word):
        runs.append(word)

    supervisor.create_async_job_scheduler("jobs")
    target = note if colour == "sync" else anote
    job = supervisor.create_async_job(target, args=("tick",), interval=0.001, number=3)
    until(lambda: len(runs) == 3 and not job.active)
    endless = supervisor.create_async_job(target, kwargs={"word": "tock"}, interval=0.001)
    until(lambda: runs.count("tock") > 3)
    assert supervisor.cancel_async_job(endless)
    assert not supervisor.cancel_async_job(endless)
    assert not endless.active


def test_jobs_of_a_scheduler_that_is_not_started_wait(supervisor, until):
    runs = []
    scheduler = supervisor.create_async_job_scheduler("later", start=False)
    supervisor.create_async_job(lambda: runs.append(1), interval=60, scheduler="later")
    assert runs == []
    supervisor.start_job_scheduler(scheduler)
    until(lambda: runs)
    with pytest.raises(InvalidOption, match="nowhere"):
        supervisor.create_async_job(print, scheduler="nowhere")
    with pytest.raises(InvalidOption, match="number"):
        supervisor.create_async_job(print, number=0)


def test_any_executor_may_stand_in_for_the_thread_pool(supervisor):
    with ThreadPoolExecutor(1, thread_name_prefix="mine") as executor:
        supervisor.thread_pool = executor
        name = supervisor.spawn(lambda: threading.current_thread().name).result(10)
    assert name.startswith("mine")


def test_poll_delay_is_readable_and_checked(supervisor):
    supervisor.poll_delay = 0.1
    assert background_worker(event=True, supervisor=supervisor)(print).poll_delay == 0.1
    with pytest.raises(InvalidOption):
        supervisor.poll_delay = 0


def test_it_is_a_context_manager_in_both_worlds():
    with TaskSupervisor("a") as made:
        assert made.active
    assert not made.active

    async def live():
        async with TaskSupervisor("b") as made:
            assert made.active
        assert not made.active

    asyncio.run(live())


PROGRAM = """
import signal, sys, time
from mainspring.background.workers.decorator import background_worker
from mainspring.background.supervisor.front import task_supervisor

awaited = sys.argv[1:] and int(sys.argv[1])

@background_worker(interval=0.01)
def tick(**kwargs):
    global ticked
    # Not before the signal is heeded: until then it ends the process as it always does.
    while awaited and signal.getsignal(awaited) in (before, signal.SIG_IGN):
        time.sleep(0.001)
    if not ticked:
        print("ticking", flush=True)
    ticked = True
    time.sleep(0.2)
    print("run ended", flush=True)

ticked = False
before = awaited and signal.getsignal(awaited)
tick.start()
"""


def test_the_end_of_the_main_thread_ends_the_process():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + "while not ticked: time.sleep(0.01)\n"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("run ended\n")
    assert done.stderr == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_what_blocks(number):
    program = PROGRAM + "task_supervisor.block()\nprint('after', task_supervisor.active)\n"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(int(number))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ticking\n"
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert out.endswith("run ended\nafter False\n")
    assert err == ""


def test_importing_starts_no_thread_and_is_light():
    program = """
import sys, threading
import mainspring.background.workers.decorator, mainspring.background.supervisor.front
import mainspring.background.tasks.decorator, mainspring.background.tasks.collection
assert threading.active_count() == 1
heavy = {"multiprocessing", "cronsim", "msgspec", "concurrent.futures.thread"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_many_threads_may_start_the_first_workers_at_once(until):
    for _ in range(10):
        made, runs, errors = TaskSupervisor("crowd"), [], []

        def begin(number, made=made, runs=runs, errors=errors):
            options = {"interval": 60, "name": f"w{number}", "supervisor": made}
            try:
                background_worker(**options)(lambda: runs.append(1)).start()
            except Exception as error:  # noqa: BLE001  whatever it is
                errors.append(error)

        threads = [threading.Thread(target=begin, args=(number,)) for number in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(10)
        assert errors == []
        until(lambda runs=runs: len(runs) == 8)
        made.stop()


def test_stopping_a_loop_stops_the_workers_and_jobs_on_it_and_no_others(supervisor, until):
    runs = []

    async def target():
        runs.append(threading.current_thread().name)

    for name in ("io", "other"):
        supervisor.create_aloop(name)
    worker = background_worker(interval=0.01, loop="io", name="w", supervisor=supervisor)(target)
    other = background_worker(interval=0.01, loop="other", name="o", supervisor=supervisor)(target)
    worker.start()
    other.start()
    supervisor.create_async_job_scheduler("jobs", aloop="io")
    job = supervisor.create_async_job(target, interval=0.01)
    until(lambda: runs.count("supervisor_aloop_io") > 5)
    assert supervisor.stop_aloop("io", wait=10)
    assert worker.is_stopped()
    until(lambda: not job.active)
    assert other.is_active()
    assert supervisor.start_aloop("io")
    assert worker.start()


FORKING = """
import asyncio, os, threading, time
from mainspring.background.workers.decorator import background_worker
from mainspring.background.tasks.task import Task, TaskPlan
from mainspring.background.tasks.waiting import wait_completed
from mainspring.background.supervisor.front import TaskSupervisor

ran, slow = threading.Event(), threading.Event()
supervisor = TaskSupervisor("s", grace=3)
tick = background_worker(interval=0.01, supervisor=supervisor, name="tick")(ran.set)
tick.start()

async def note(item):
    await asyncio.sleep(0 if item else 0.2)
    return os.getpid()

supervisor.create_aloop("io")
mail = background_worker(queue=True, loop="io", supervisor=supervisor)(note)
mail.start()
first, second = mail.put_threadsafe(0), mail.put_threadsafe(1)
assert ran.wait(10)
child = os.fork()
if child == 0:
    assert not supervisor.active and not tick.is_active() and not mail.is_active()
    assert supervisor.get_info()["workers"] == []
    ran.clear()
    assert tick.start() and mail.start()
    assert ran.wait(10)
    assert mail.status().queued == 0, "what is queued is the parent's"
    assert mail.put_threadsafe(1).result(10) == os.getpid()
    assert supervisor.background_task(asyncio.sleep(0, 5)).result(10) == 5
    assert supervisor.spawn(os.getpid).result(10) == os.getpid()
    assert supervisor.stop(2)
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert first.result(10) == second.result(10) == os.getpid()
assert supervisor.active and tick.is_active()
"""


def test_a_forked_child_begins_anew_and_leaves_its_parent_alone():
    subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING], check=True, timeout=30
    )


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_target_that_is_stuck_does_not_keep_the_process_from_ending(colour):
    program = f"""
import threading, time
from mainspring.background.workers.decorator import background_worker
from mainspring.background.tasks.task import Task, TaskPlan
from mainspring.background.tasks.waiting import wait_completed
from mainspring.background.supervisor.front import TaskSupervisor

stuck = threading.Event()

def hang():
    print("stuck", flush=True)
    stuck.set()
    time.sleep(100)

async def ahang():
    hang()

supervisor = TaskSupervisor("s", grace=0.2)
target = hang if "{colour}" == "sync" else ahang
background_worker(interval=1, supervisor=supervisor)(target).start()
background_worker(supervisor=supervisor, name="own thread")(lambda: time.sleep(100)).start()
assert stuck.wait(10)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=30, capture_output=True, text=True
    )
    assert done.stdout == "stuck\n"


def test_what_runs_while_it_stops_may_use_its_pools_and_does_not_start_it_again(supervisor):
    got, begun = [], threading.Event()

    @background_worker(supervisor=supervisor)
    def work():
        begun.set()
        while supervisor.active:
            time.sleep(0.001)
        got.append(supervisor.start())
        got.append(supervisor.spawn(divmod, 7, 2).result(5))

    work.start()
    begun.wait(5)
    since = time.monotonic()
    assert supervisor.stop()
    assert time.monotonic() - since < supervisor.grace / 2
    assert got == [False, (3, 1)]
    assert not supervisor.active


def test_a_worker_can_not_be_started_by_what_runs_while_its_supervisor_stops(supervisor):
    got, begun = [], threading.Event()
    late = background_worker(interval=60, supervisor=supervisor, name="late")(lambda: None)

    @background_worker(supervisor=supervisor)
    def work():
        begun.set()
        while supervisor.active:
            time.sleep(0.001)
        with pytest.raises(NotRunning) as caught:
            late.start()
        got.append(caught.value)

    def let_in():
        work.start()
        begun.wait(5)
        return supervisor.stop()

    assert let_in()
    assert got
    assert late.is_stopped()
    assert not supervisor.active


def test_no_worker_is_started_from_the_moment_at_which_a_stop_can_be_seen(supervisor, monkeypatch):
    late = background_worker(interval=60, supervisor=supervisor)(lambda: None)
    supervisor.start()
    core, refused = supervisor.life.core, []
    close = core.close

    def close_late(grace):
        with pytest.raises(NotRunning):
            late.start()
        refused.append(True)
        close(grace)

    monkeypatch.setattr(core, "close", close_late)
    assert supervisor.stop()
    assert refused


def test_stop_from_a_coroutine_of_its_own_only_asks(supervisor, until):
    runs = []

    @background_worker(supervisor=supervisor)
    async def work():
        runs.append(await supervisor.astop())

    since = time.monotonic()
    work.start()
    until(lambda: runs)
    assert supervisor.stop()
    assert time.monotonic() - since < supervisor.grace / 2
    assert runs == [False]


def test_stop_on_the_callers_own_loop_does_not_hold_up_the_worker_there(supervisor, until):
    async def main():
        runs = []

        @background_worker(supervisor=supervisor, loop=asyncio.get_running_loop())
        async def work():
            runs.append(1)
            await asyncio.sleep(0.001)

        work.start()
        while not runs:
            await asyncio.sleep(0.001)
        since = time.monotonic()
        assert not supervisor.stop()
        assert time.monotonic() - since < 1
        while not work.is_stopped():
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(main(), 10))
    until(supervisor.stop)


def test_a_job_whose_runs_raise_ends_after_as_many(supervisor, until, colour):
    runs = []
    supervisor.create_async_job_scheduler("main")
    job = supervisor.create_async_job(coloured(failing(runs), colour), interval=0.001, number=3)
    until(lambda: not job.active)
    assert job.runs == len(runs) == 3


def test_a_job_runs_on_after_a_run_that_raised(supervisor, until, colour):
    runs = []
    supervisor.create_async_job_scheduler("main")
    job = supervisor.create_async_job(coloured(failing(runs), colour), interval=0.001)
    until(lambda: len(runs) > 3)
    assert job.active
    assert supervisor.cancel_async_job(job)
    assert not supervisor.cancel_async_job(job)


@pytest.fixture(params=["sync", "async"])
def colour(request):
    return request.param


def coloured(target, colour):
    if colour == "sync":
        return target

    async def later():
        await asyncio.sleep(0)
        target()

    return later


def failing(runs):
    def target():
        runs.append(1)
        raise ValueError("no")

    return target


def test_the_first_run_of_a_job_comes_after_its_timer_and_the_next_after_the_interval(
    supervisor, until
):
    moments = []
    supervisor.create_async_job_scheduler("main")
    since = time.monotonic()
    target = lambda *args, **kwargs: moments.append((time.monotonic(), args, kwargs))  # noqa: E731
    job = supervisor.create_async_job(target, (1,), {"two": 2}, timer=0.2, interval=0.05, number=3)
    until(lambda: not job.active)
    times = [moment for moment, *_ in moments]
    assert times[0] - since >= 0.2
    assert times[2] - since >= 0.2 + 2 * 0.05
    assert {(args, *kwargs) for _, args, kwargs in moments} == {((1,), "two")}


def test_a_scheduler_of_jobs_keeps_none_that_has_ended(supervisor, until):
    scheduler = supervisor.create_async_job_scheduler("main")
    for _ in range(50):
        supervisor.create_async_job(time.monotonic, number=1)
    until(lambda: not scheduler.jobs)


def test_a_scheduler_of_jobs_that_is_started_twice_runs_each_job_once(supervisor, until):
    runs = []
    scheduler = supervisor.create_async_job_scheduler("main")
    job = supervisor.create_async_job(lambda: runs.append(1), interval=0.05, number=3)
    supervisor.start_job_scheduler(scheduler)
    until(lambda: not job.active)
    assert len(runs) == 3


def test_two_schedulers_of_jobs_of_one_name_are_refused(supervisor):
    supervisor.create_async_job_scheduler("main")
    with pytest.raises(DuplicateName, match="two job schedulers are named 'main'"):
        supervisor.create_async_job_scheduler("main")


@pytest.mark.parametrize("stop_schedulers", [True, False])
def test_jobs_run_again_after_their_supervisor_was_stopped_and_started(
    supervisor, until, stop_schedulers
):
    first, second, third = [], [], []
    supervisor.create_async_job_scheduler("main")
    supervisor.create_async_job(lambda: first.append(1), interval=0.001)
    until(lambda: first)
    supervisor.stop(stop_schedulers=stop_schedulers)
    supervisor.create_async_job(lambda: second.append(1), number=1)
    count = len(first)
    supervisor.start()
    supervisor.create_async_job(lambda: third.append(1), number=1)
    until(lambda: second and third)
    assert len(first) == count


class Clock:
    """A scheduler of the user's own."""

    def __init__(self, error=None):
        self.error = error
        self.stopped = []
        self.begun = threading.Event()
        self.ended = threading.Event()

    async def loop(self):
        self.begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            self.ended.set()

    def stop(self):
        self.stopped.append(1)
        raise self.error


def test_a_scheduler_whose_stop_raises_is_logged_and_does_not_keep_others_from_stopping(
    supervisor, caplog
):
    clock = Clock(ValueError("no hands"))
    worker = background_worker(interval=60, supervisor=supervisor)(lambda: None)
    worker.start()
    supervisor.register_scheduler(clock)
    clock.begun.wait(5)
    since = time.monotonic()
    assert supervisor.stop()
    assert time.monotonic() - since < supervisor.grace / 2
    assert clock.stopped == [1]
    assert clock.ended.is_set()
    assert worker.is_stopped()
    assert "no hands" in caplog.text


@pytest.mark.parametrize("way", ["leave", "close"])
def test_a_scheduler_that_is_left_as_its_loop_begins_is_cancelled(supervisor, monkeypatch, way):
    clock, aloop = Clock(ValueError("no hands")), supervisor.running_aloop()
    service, spawn = SchedulerService(clock, aloop), aloop.spawn_coroutine_threadsafe

    def spawn_slowly(coroutine):
        life = spawn(coroutine)
        assert clock.begun.wait(5)
        getattr(service, way)()
        return life

    monkeypatch.setattr(aloop, "spawn_coroutine_threadsafe", spawn_slowly)
    asyncio.run(asyncio.wait_for(service.run(lambda: None), 10))
    assert clock.ended.wait(5)


def test_a_stop_without_schedulers_calls_no_stop_of_theirs_and_ends_their_loops(supervisor):
    clock = Clock()
    supervisor.register_scheduler(clock)
    supervisor.register_sync_scheduler(clock)
    clock.begun.wait(5)
    since = time.monotonic()
    assert supervisor.stop(stop_schedulers=False)
    assert time.monotonic() - since < supervisor.grace / 2
    assert clock.stopped == []
    assert clock.ended.is_set()


def test_a_coroutine_for_a_loop_that_does_not_run_is_closed(supervisor):
    async def nothing():
        pass

    aloop = supervisor.create_aloop("io", start=False)
    for run in (aloop.run, aloop.run_coroutine_threadsafe, aloop.spawn_coroutine_threadsafe):
        with pytest.raises(NotRunning):
            run(nothing())


def test_a_loop_can_not_bear_the_name_of_the_supervisors_own(supervisor):
    with pytest.raises(DuplicateName, match="supervisor"):
        supervisor.create_aloop("supervisor")


def test_get_info_tells_of_a_loop_as_soon_as_it_is_there(supervisor):
    supervisor.create_aloop("io")
    assert set(supervisor.get_info()["loops"]) == {"io"}
    supervisor.stop_aloop("io")
    assert supervisor.get_info()["loops"] == {}


def test_a_task_that_was_put_can_be_found_by_its_id_until_it_has_ended(supervisor, until):
    go_on = threading.Event()
    plan = TaskPlan.of(go_on.wait, {})
    task = supervisor.put_task(Task(plan, (5,), {}))
    assert supervisor.get_task(task.id) is task
    go_on.set()
    assert wait_completed(task, 5) is True
    until(lambda: supervisor.get_task(task.id) is None)
    assert supervisor.get_task("unknown") is None


def test_a_stop_with_a_limit_ends_soon_after_it_whatever_is_stuck(supervisor, until):
    go_on, begun = threading.Event(), []

    def stuck():
        begun.append(1)
        go_on.wait(30)

    async def waiting():
        begun.append(1)
        await asyncio.sleep(30)

    async def blocking():
        stuck()

    supervisor.create_aloop("io")
    background_worker(supervisor=supervisor, name="thread")(stuck).start()
    background_worker(supervisor=supervisor, name="pool", interval=60)(stuck).start()
    background_worker(supervisor=supervisor, name="coroutine")(waiting).start()
    background_worker(supervisor=supervisor, name="loop", loop="io")(blocking).start()
    supervisor.spawn(stuck)
    until(lambda: len(begun) == 5)
    since = time.monotonic()
    assert supervisor.stop(wait=0.3)
    assert 0.3 <= time.monotonic() - since < 3
    assert not supervisor.active
    go_on.set()


def test_a_loop_that_starts_long_after_its_supervisor_is_watched(supervisor, until, caplog):
    runs, go_on = [], threading.Event()
    background_worker(interval=0.001, supervisor=supervisor)(lambda: runs.append(1)).start()
    until(lambda: len(runs) > 3 and supervisor.life.watchdog.trigger.delay > 60)

    @background_worker(delay=60, supervisor=supervisor)
    async def block():
        go_on.wait(30)

    block.start()
    until(lambda: "is blocked for" in caplog.text)
    go_on.set()


def test_health_names_a_loop_while_it_is_blocked(supervisor, until, monkeypatch):
    monkeypatch.setattr(info, "STALLED_AFTER", 0.1)
    go_on = threading.Event()

    @background_worker(delay=60, supervisor=supervisor)
    async def block():
        go_on.wait(30)

    block.start()
    until(lambda: supervisor.health()["stalled_loops"] == ["supervisor"])
    assert not supervisor.health()["healthy"]
    go_on.set()
    until(lambda: supervisor.health()["healthy"])


@pytest.mark.parametrize("waiting", [True, False])
def test_stop_from_a_signal_handler_stops_it(supervisor, until, waiting):
    stopped = []

    def stop(*_):
        stopped.append(supervisor.stop(waiting))

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        workers = [
            background_worker(interval=0.001, supervisor=supervisor, name=name)(lambda: None)
            for name in "abc"
        ]
        for worker in workers:
            worker.start()
        os.kill(os.getpid(), signal.SIGUSR1)
        until(lambda: stopped)
        until(lambda: all(worker.is_stopped() for worker in workers))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not supervisor.active


def test_info_and_health_are_json_at_every_moment_of_starts_and_stops(supervisor):
    over, looks, errors = threading.Event(), [], []

    def look():
        while not over.is_set():
            try:
                looks.append(json.dumps([supervisor.get_info(), supervisor.health()]))
            except Exception as error:  # noqa: BLE001  the test's own border
                errors.append(error)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    supervisor.create_aloop("io")
    for _ in range(10):
        for number in range(10):
            options = {"interval": 0.01, "supervisor": supervisor, "name": f"w{number}"}
            background_worker(**options)(lambda: None).start()
        supervisor.stop()
    over.set()
    for looker in lookers:
        looker.join(10)
    assert looks
    assert not errors


@pytest.mark.parametrize(
    "options",
    [
        {"interval": 0},
        {"interval": "1"},
        {"interval": float("inf")},
        {"number": 0},
        {"number": 1.5},
        {"timer": -1},
        {"timer": float("nan")},
        {"scheduler": "nowhere"},
        {"target": 5},
    ],
)
def test_options_of_a_job_that_make_no_sense_are_named(supervisor, options):
    supervisor.create_async_job_scheduler("main")
    with pytest.raises(InvalidOption, match=next(iter(options))):
        supervisor.create_async_job(**{"target": time.monotonic, **options})


@pytest.mark.parametrize("missing", ["stop", "loop"])
def test_an_object_that_is_no_scheduler_is_refused_when_it_is_registered(supervisor, missing):
    methods = {"stop": lambda _: None, "loop": lambda _: None}
    methods.pop(missing)
    scheduler = type("Scheduler", (), methods)()
    with pytest.raises(TypeError, match=f"give it a method {missing}"):
        supervisor.register_scheduler(scheduler)
    if missing == "stop":
        with pytest.raises(TypeError, match="give it a method stop"):
            supervisor.register_sync_scheduler(scheduler)


@pytest.mark.parametrize("size", [0, -1])
def test_a_process_pool_of_no_children_is_refused(supervisor, size):
    with pytest.raises(InvalidOption, match=f"pool_size={size}"):
        supervisor.set_mp_pool(size)


def test_a_grace_that_is_set_before_the_start_holds(until):
    supervisor, release = TaskSupervisor("short"), threading.Event()
    supervisor.grace = 0.1
    supervisor.start()
    supervisor.spawn(release.wait, 20)
    until(lambda: supervisor.threads.status().busy == 1)
    since = time.monotonic()
    supervisor.stop()
    release.set()
    assert time.monotonic() - since < 5
