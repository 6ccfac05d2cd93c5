"""Every call of the front door that touches the store has a twin that holds up no event loop."""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
import threading

import pytest

from mainspring import JobHandle, Queue
from mainspring.queue.queue_task import QueueTask
from mainspring.queue.schedule_handle import ScheduleHandle

DOORS = (Queue, JobHandle, QueueTask, ScheduleHandle)
NO_STORE = {
    Queue: {
        "task",
        "middleware",
        "instrument",
        "resource",
        "cron",
        "every",
        "register",
        "get_task",
        "subscribe",
        "shutdown",
        "configure",
        "init_app",
        "autodiscover",
        "testing",
    },
    JobHandle: {"refresh"},
    QueueTask: {"using", "call", "payload", "unique_key"},
}
"""What touches no store."""

ELSEWHERE = {
    "run_worker": "arun_worker",
    "worker": "arun_worker",
    "lock": "its own `async with`",
    "transaction": "its own thread",
    "as_completed": "aas_completed",
    "aas_completed": "an iterator",
}
"""Calls whose twins have another shape; a transaction belongs to its thread."""


def public_methods(door):
    for base in door.__mro__[:-1]:
        for name, found in vars(base).items():
            if inspect.isfunction(found) and not name.startswith("_"):
                yield name, found


@pytest.mark.parametrize("door", DOORS)
def test_each_call_that_touches_the_store_has_an_async_twin(door):
    methods = dict(public_methods(door))
    blocking = {name for name, found in methods.items() if not inspect.iscoroutinefunction(found)}
    twinned = blocking - NO_STORE.get(door, set()) - set(ELSEWHERE)
    assert {name for name in twinned if f"a{name}" not in methods} == set()
    for name in twinned:
        twin = getattr(door, f"a{name}")
        assert inspect.iscoroutinefunction(twin), name
        given = list(inspect.signature(methods[name]).parameters)
        assert name in (twin.__doc__ or ""), name
        assert given[0] == "self"


@pytest.mark.parametrize("field", ["record", "status", "history", "log"])
def test_what_a_job_is_can_be_read_without_blocking(field):
    assert inspect.iscoroutinefunction(getattr(JobHandle, f"a{field}"))


@pytest.fixture
def queue(tmp_path):
    queue = Queue(db_path=tmp_path / "jobs.db", durability="normal", workers=1)
    yield queue
    queue.close()


def test_twins_do_what_the_calls_do(queue):
    add = queue.task(name="add")(lambda a, b=0: a + b)
    queue.every(60, name="poll", args=(1,))(add)

    async def look():
        jobs = await add.amap([(1,), (2, 3)])
        jobs += await queue.aenqueue_many([add.call(4), add.using(priority=3).call(5)])
        assert [job.args for job in await queue.ajobs()] == [(5,), (4,), (2, 3), (1,)]
        assert await queue.aget_job(jobs[0].id) == jobs[0]
        assert await queue.apause("default")
        assert await queue.apaused() == ["default"]
        assert await queue.aresume("default")
        assert (await jobs[0].arun_now(), await jobs[0].areschedule(delay=5)) == (True, True)
        assert await jobs[0].areprioritize(4)
        assert await jobs[0].acancel()
        assert await queue.acancel(jobs[1].id)
        assert await queue.acancel(jobs[1:3]) == [False, True]
        assert (await jobs[0].aretry(args=(7,))) == jobs[0]
        assert await queue.aretry(jobs[1]) == jobs[1]
        assert await queue.adrop([jobs[2]]) == 1
        assert (await jobs[0].arecord()).task == "add"
        assert (await jobs[0].astatus(), await jobs[0].alog()) == ("pending", [])
        assert await jobs[0].ahistory() == jobs[0].history
        assert (await queue.astats())["pending"] == 3
        assert await queue.anodes() == []
        assert await queue.apurge() == 0
        assert len(await queue.adead_letters()) == 0
        assert len(await queue.aexamine()) == len(queue.examine())
        poll = await queue.schedules.aget("poll")
        assert await queue.schedules.aget("nosuch") is None
        assert (await poll.atrigger()).args == (1,)
        assert await poll.apause()
        assert await poll.aresume()
        assert len(await poll.anext(2)) == 2
        assert await poll.aforget()
        with pytest.raises(TimeoutError, match=r"is still pending after 0\.05 s"):
            await jobs[0].aresult(timeout=0.05)
        return jobs

    jobs = asyncio.run(look())
    with queue.worker():
        assert asyncio.run(jobs[0].aresult(timeout=20)) == 7
        assert asyncio.run(jobs[3].aresult()) == 5
    asyncio.run(queue.aclose())


def test_a_busy_store_holds_up_no_loop(queue, tmp_path):
    add = queue.task(name="add")(lambda: 1)
    job = add.using(delay=60).delay()
    other = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None, check_same_thread=False)
    other.execute("begin immediate")

    async def main():
        loop = asyncio.get_running_loop()
        writes = [
            job.acancel(),
            add.amap([()]),
            queue.aenqueue_many([add.call()]),
            queue.apause("default"),
        ]
        tasks = [asyncio.ensure_future(one) for one in writes]
        turned = [loop.create_future() for _ in range(20)]
        for one in turned:
            loop.call_soon(one.set_result, None)
            await one
        assert not any(task.done() for task in tasks)
        other.execute("rollback")
        return await asyncio.gather(*tasks)

    cancelled, mapped, enqueued, paused = asyncio.run(main())
    assert cancelled
    assert paused
    assert (len(mapped), len(enqueued)) == (1, 1)
    other.close()


def test_jobs_of_a_callers_connection_are_enqueued_in_its_thread(queue, tmp_path):
    add = queue.task(name="add")(lambda: 1)
    connection = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    connection.execute("begin")

    async def main():
        await add.using(conn=connection).amap([()])
        await queue.aenqueue_many([add.using(conn=connection).call()])
        assert threading.current_thread() is threading.main_thread()

    asyncio.run(main())
    connection.execute("rollback")
    assert queue.stats()["pending"] == 0
    connection.close()
