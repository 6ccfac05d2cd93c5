"""Asyncio task pools on a supervisor: started, stopped, watched and counted with the rest."""

import asyncio
import json
import threading
import time

import pytest

from mainspring import AsyncTaskWorker, TaskSupervisor, background_worker
from mainspring.errors import (
    AlreadyRunning,
    DuplicateName,
    InvalidOption,
    NotRunning,
    WrongLoop,
)


async def where():
    return threading.current_thread().name


def run(supervisor, pool, function, *args, loop=None):
    async def call():
        return await (await pool.submit(function, *args))

    return supervisor.get_aloop(loop).run(call(), timeout=10)


def status_of(supervisor, name="task pool"):
    return next(one for one in supervisor.get_info()["task_pools"] if one["name"] == name)


def test_a_pool_starts_and_stops_with_its_supervisor(supervisor):
    pool = AsyncTaskWorker(supervisor=supervisor)
    assert not pool.running
    supervisor.start()
    assert pool.running
    assert run(supervisor, pool, where) == "test_loop"
    supervisor.stop()
    assert not pool.running


def test_a_pool_that_is_added_to_a_running_supervisor_takes_tasks_at_once(supervisor):
    supervisor.start()
    pool = AsyncTaskWorker(supervisor=supervisor)
    assert pool.running
    assert run(supervisor, pool, where) == "test_loop"


def test_a_pool_runs_on_the_loop_it_was_given(supervisor):
    supervisor.create_aloop("io")
    supervisor.create_aloop("main", default=True)
    named = AsyncTaskWorker(name="named", supervisor=supervisor, loop="io")
    default = AsyncTaskWorker(name="default", supervisor=supervisor)
    assert run(supervisor, named, where, loop="io") == "supervisor_aloop_io"
    assert run(supervisor, default, where) == "supervisor_aloop_main"
    with pytest.raises(WrongLoop):
        run(supervisor, named, where, loop="main")


def test_a_loop_that_was_not_started_is_started_for_its_pool(supervisor):
    aloop = supervisor.create_aloop("io", start=False)
    supervisor.start()
    pool = AsyncTaskWorker()
    supervisor.add_pool(pool, aloop)
    assert run(supervisor, pool, where, loop="io") == "supervisor_aloop_io"


def test_a_supervisor_that_starts_again_starts_its_pools_again(supervisor):
    supervisor.create_aloop("io")
    pool = AsyncTaskWorker(supervisor=supervisor, loop="io")
    for _ in range(3):
        supervisor.start()
        assert run(supervisor, pool, where, loop="io") == "supervisor_aloop_io"
        supervisor.stop()
        assert not pool.running


def test_bodies_get_the_pools_own_time_to_end(supervisor, until):
    pool = AsyncTaskWorker(supervisor=supervisor, stop_timeout=0.2)
    supervisor.start()
    ended = []

    async def body(seconds):
        try:
            await asyncio.sleep(seconds)
            ended.append("in its time")
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    loop = supervisor.get_aloop()
    loop.run(pool.submit(body, 0.05))
    late = loop.run(pool.submit(body, 60))
    until(lambda: pool.stats()["running"] == 2)
    began = time.monotonic()
    assert supervisor.stop()
    assert 0.2 <= time.monotonic() - began < 3
    assert ended == ["in its time", "cancelled"]
    assert late.status == "cancelled"


def test_a_stop_in_a_hurry_cancels_bodies_before_their_time(supervisor, until):
    pool = AsyncTaskWorker(supervisor=supervisor, stop_timeout=60)
    supervisor.start()
    late = supervisor.get_aloop().run(pool.submit(asyncio.sleep, 60))
    until(lambda: pool.stats()["running"] == 1)
    began = time.monotonic()
    assert supervisor.stop(wait=0.1)
    assert time.monotonic() - began < 3
    assert late.status == "cancelled"
    assert not pool.running


def test_a_pool_with_more_time_than_its_supervisor_keeps_it(until):
    supervisor = TaskSupervisor("short", grace=0.1)
    pool = AsyncTaskWorker(supervisor=supervisor, stop_timeout=5)
    supervisor.start()
    handle = supervisor.get_aloop().run(pool.submit(asyncio.sleep, 0.5, "done"))
    until(lambda: pool.stats()["running"] == 1)
    assert supervisor.stop()
    assert handle.status == "completed"


def test_workers_may_add_tasks_until_they_have_ended(supervisor, until):
    pool = AsyncTaskWorker(supervisor=supervisor)
    supervisor.start()
    under_way, go_on = threading.Event(), threading.Event()
    results = []

    @background_worker(interval=60, supervisor=supervisor)
    def last_run():
        under_way.set()
        assert go_on.wait(10)
        results.append(run(supervisor, pool, where))

    last_run.start()
    assert under_way.wait(10)
    stopping = threading.Thread(target=supervisor.stop)
    stopping.start()
    until(lambda: not supervisor.active)
    go_on.set()
    stopping.join(10)
    assert results == ["test_loop"]


def test_info_and_health_tell_of_a_pool_as_json(supervisor, until):
    pool = AsyncTaskWorker(max_workers=3, supervisor=supervisor)
    assert status_of(supervisor)["state"] == "new"
    supervisor.start()
    run(supervisor, pool, where)
    until(lambda: status_of(supervisor)["state"] == "running")
    told = json.loads(json.dumps(supervisor.get_info()))["task_pools"]
    assert told == [
        {
            "name": "task pool",
            "state": "running",
            "loop": "supervisor",
            "restarts": 0,
            "error": None,
            "completed": 1,
            "failed": 0,
            "cancelled": 0,
            "pending": 0,
            "running": 0,
            "max_workers": 3,
            "cache": {"hits": 0, "misses": 0, "errors": 0},
        }
    ]
    assert supervisor.health()["healthy"]
    assert supervisor.health()["stopped_task_pools"] == []
    supervisor.stop()
    until(lambda: status_of(supervisor)["state"] == "stopped")


def test_a_pool_that_somebody_stopped_makes_its_supervisor_unwell(supervisor):
    pool = AsyncTaskWorker(supervisor=supervisor)
    supervisor.start()
    supervisor.get_aloop().run(pool.stop())
    assert supervisor.health()["stopped_task_pools"] == ["task pool"]
    assert not supervisor.health()["healthy"]
    supervisor.get_aloop().run(pool.start())
    assert supervisor.health()["healthy"]


def test_a_loop_that_is_stopped_takes_its_pools_along_and_brings_them_back(supervisor):
    supervisor.create_aloop("io")
    pool = AsyncTaskWorker(supervisor=supervisor, loop="io")
    assert supervisor.stop_aloop("io", wait=10)
    assert not pool.running
    supervisor.create_aloop("other")
    assert not pool.running
    supervisor.start_aloop("io")
    assert run(supervisor, pool, where, loop="io") == "supervisor_aloop_io"


def test_a_pool_can_be_taken_away(supervisor):
    supervisor.start()
    pool = AsyncTaskWorker(supervisor=supervisor)
    assert supervisor.remove_pool(pool)
    assert not pool.running
    assert not supervisor.remove_pool(pool)
    assert supervisor.get_info()["task_pools"] == []
    supervisor.add_pool(pool)
    assert pool.running


def test_what_can_not_be_added_is_refused(supervisor):
    AsyncTaskWorker(supervisor=supervisor)
    with pytest.raises(DuplicateName, match="task pool"):
        AsyncTaskWorker(supervisor=supervisor)
    with pytest.raises(InvalidOption, match="nowhere"):
        AsyncTaskWorker(name="lost", supervisor=supervisor, loop="nowhere")
    with pytest.raises(InvalidOption, match="loop"):
        AsyncTaskWorker(loop="io")
    with pytest.raises(InvalidOption, match="stop_timeout"):
        AsyncTaskWorker(stop_timeout=-1)


def test_a_pool_that_runs_elsewhere_is_refused(supervisor):
    async def add():
        async with AsyncTaskWorker() as pool:
            with pytest.raises(AlreadyRunning):
                supervisor.add_pool(pool)

    asyncio.run(add())


def test_a_pool_that_was_started_elsewhere_holds_up_no_start_and_is_told(supervisor, until):
    pool = AsyncTaskWorker(supervisor=supervisor)

    async def start_both():
        async with pool:
            began = time.monotonic()
            supervisor.start()
            assert time.monotonic() - began < 5
            until(lambda: status_of(supervisor)["state"] == "failed")

    asyncio.run(start_both())
    assert "WrongLoop" in status_of(supervisor)["error"]
    assert not supervisor.health()["healthy"]


def test_a_pool_can_be_added_from_the_loop_that_it_will_run_on(supervisor, until):
    supervisor.start()
    loop = supervisor.running_aloop()

    async def add():
        return AsyncTaskWorker(supervisor=supervisor)

    pool = loop.run(add(), timeout=5)
    until(lambda: pool.running)


def test_a_pool_without_a_supervisor_stands_alone():
    async def live():
        pool = AsyncTaskWorker()
        with pytest.raises(NotRunning):
            await pool.add_task(where)
        async with pool:
            return await (await pool.submit(where))

    assert asyncio.run(live()) == threading.main_thread().name
