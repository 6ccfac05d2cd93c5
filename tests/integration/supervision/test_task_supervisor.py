"""A task supervisor, its start and what it owns."""

import asyncio
import inspect
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mainspring import TaskSupervisor, background_worker
from mainspring.background.supervisor.running_pools import PROCESS_OPTIONS
from mainspring.errors import InvalidOption, TaskNotImportable, UnknownOption
from mainspring.processes.pool import ProcessPool


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


def test_a_stop_without_a_limit_has_its_grace():
    made = TaskSupervisor("short", grace=0.2)
    assert TaskSupervisor().grace == 25
    made.start()
    future = made.background_task(asyncio.sleep(3600))
    since = time.monotonic()
    assert made.stop()
    assert time.monotonic() - since < 3
    assert future.cancelled()


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


@pytest.mark.parametrize("size", [0, -1])
def test_a_process_pool_of_no_children_is_refused(supervisor, size):
    with pytest.raises(InvalidOption, match=f"pool_size={size}"):
        supervisor.set_mp_pool(size)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_tasks_per_child": 0}, InvalidOption),
        ({"initializer": lambda: None}, TaskNotImportable),
        ({"maxtasksperchild": 1}, UnknownOption),
    ],
)
def test_a_process_pool_that_can_not_be_made_is_refused_before_the_start(
    supervisor, options, error
):
    supervisor.set_mp_pool(pool_size=1)
    with pytest.raises(error):
        supervisor.set_mp_pool(pool_size=1, **options)
    assert supervisor.mp_pool.call(abs, -1) == 1


@pytest.mark.parametrize("grace", [math.inf, 1e10])
def test_a_grace_may_be_as_long_as_one_likes(grace):
    supervisor = TaskSupervisor("patient", grace=grace)
    with supervisor:
        ended = supervisor.spawn(time.sleep, 0.1)
    assert ended.done()
    assert not supervisor.active


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


@pytest.mark.parametrize("grace", ["5", None, -1, float("nan"), True])
def test_a_grace_that_makes_no_sense_is_refused_before_a_stop_fails_of_it(grace):
    with pytest.raises(InvalidOption, match="grace"):
        TaskSupervisor("mine", grace=grace)


@pytest.mark.parametrize("pool", [5, "threads", threading])
def test_what_is_no_executor_does_not_stand_in_for_the_thread_pool(supervisor, pool):
    with pytest.raises(InvalidOption, match="thread_pool"):
        supervisor.thread_pool = pool
    with pytest.raises(InvalidOption, match="thread_pool"):
        supervisor.set_thread_pool(pool=pool)
    assert supervisor.spawn(divmod, 7, 2).result(10) == (3, 1)


def test_sizes_that_are_left_out_stay_as_they_were_set(supervisor):
    supervisor.start()
    supervisor.set_thread_pool(pool_size=7, reserve_normal=2, reserve_high=3)
    supervisor.set_thread_pool(pool_size=9)
    supervisor.set_thread_pool(reserve_high=1)
    with ThreadPoolExecutor(1) as pool:
        supervisor.set_thread_pool(pool=pool)
        supervisor.thread_pool = None
    info = supervisor.get_info()
    sizes = (info.thread_pool_size, info.thread_reserve_normal, info.thread_reserve_high)
    assert sizes == (9, 2, 1)
    with pytest.raises(InvalidOption):
        supervisor.set_thread_pool(pool_size=-1)
    supervisor.set_thread_pool(max_size=20)
    assert supervisor.get_info().thread_pool_size == 20


def test_an_option_that_no_process_pool_has_is_refused_before_the_start(supervisor):
    with pytest.raises(UnknownOption, match="initialiser"):
        supervisor.set_mp_pool(1, initialiser=print)
    assert supervisor.start()


def test_every_option_of_a_process_pool_is_one_of_the_supervisors():
    options = set(inspect.signature(ProcessPool).parameters)
    assert options == {"size", *PROCESS_OPTIONS}


def test_a_start_whose_process_pool_can_not_be_made_can_be_tried_again(supervisor, monkeypatch):
    def refuse(*_, **__):
        raise InvalidOption("spare", -1, owner="a pool", expected="0 or more")

    supervisor.set_mp_pool(1)
    with monkeypatch.context() as refusing:
        refusing.setattr(ProcessPool, "__init__", refuse)
        for _ in range(2):
            with pytest.raises(InvalidOption):
                supervisor.start()
            assert not supervisor.active
    assert supervisor.start()
    assert supervisor.spawn(divmod, 7, 2).result(10) == (3, 1)
