"""The task pool as async-task-worker has it: getters are plain in 0.1, and awaited from 0.2 on."""

import asyncio
import json

import httpx
import pytest
from fastapi import FastAPI

import mainspring
from mainspring import TaskStatus, task
from mainspring.compat import async_task_worker
from mainspring.compat.async_task_worker import AsyncTaskWorker, api
from mainspring.task_worker_api import create_task_worker_router


@task("compat.double")
async def double(number):
    return 2 * number


def run(main):
    """Run a coroutine function with a pool of `mainspring` itself."""

    async def with_pool():
        async with mainspring.AsyncTaskWorker(max_workers=1) as pool:
            return await main(pool)

    return asyncio.run(with_pool())


def test_what_a_getter_returns_may_also_be_awaited():
    async def main(pool):
        first = await pool.add_task(double, 1)
        await pool.join()
        info = pool.get_task_info(first)
        assert await pool.get_task_info(first) == info
        assert await pool.get_all_tasks() == pool.get_all_tasks() == [info]
        (future,) = await pool.get_task_futures([first])
        assert await future == 2
        assert "compat.double" in await mainspring.get_all_task_types()

    run(main)


def test_a_view_tells_whether_it_has_ended_and_is_a_dict_for_json():
    async def main(pool):
        first = await pool.add_task(double, 1, metadata={"a": 1})
        info = pool.get_task_info(first)
        assert not info.is_terminal_state()
        assert info.to_dict()["completed_at"] is None
        await pool.join()
        assert info.is_terminal_state()
        shown = json.loads(json.dumps(info.to_dict()))
        assert (shown["id"], shown["status"], shown["result"]) == (first, "completed", 2)
        assert (shown["metadata"], shown["from_cache"]) == ({"a": 1}, False)
        assert shown["created_at"] == info.created_at.isoformat()

    run(main)


def test_a_cancelled_task_has_an_error():
    async def main(pool):
        first = await pool.add_task(asyncio.sleep, 60)
        assert pool.get_task_info(first).error is None
        assert await pool.cancel_task(first)
        assert "cancelled" in pool.get_task_info(first).error

    run(main)


def test_an_unknown_id_is_an_error_that_names_it():
    async def main(pool):
        with pytest.raises(KeyError, match="Task none not found"):
            pool.get_task_future("none")
        with pytest.raises(KeyError, match="Task none not found"):
            await pool.wait_for_tasks(["none"])
        assert pool.get_task_info("none") is None

    run(main)


def test_a_timeout_says_so():
    async def main(pool):
        first = await pool.add_task(asyncio.sleep, 60, timeout=0.01)
        await pool.join()
        assert "timed out after its timeout of 0.01 s" in pool.get_task_info(first).error

    run(main)


def test_the_newer_interface_awaits_everything():
    async def main():
        async with AsyncTaskWorker(2, task_retention_days=1, cleanup_interval=60) as worker:
            first = await worker.add_task(task_func=double, number=1)
            assert await worker.wait_for_tasks([first]) == [2]
            future = await worker.get_task_future(first)
            assert await future == 2
            assert await worker.wait_for_any_task([first]) == (2, first)
            assert (await worker.get_task_info(first)).status is TaskStatus.COMPLETED
            assert await worker.get_task_info("none") is None
            assert [one.id for one in await worker.get_all_tasks(status="completed")] == [first]
            assert [await one for one in await worker.get_task_futures([first])] == [2]
            assert not await worker.cancel_task(first)
            assert not await worker.invalidate_cache(double, 1)
            await worker.clear_cache()
            assert worker.running
        assert await async_task_worker.get_task_function("compat.double") is double
        assert "compat.double" in await async_task_worker.get_all_task_types()

    asyncio.run(main())


@pytest.mark.parametrize("newer", [False, True])
def test_tasks_over_http_tell_their_type_and_are_filtered_by_status(newer):
    worker = AsyncTaskWorker() if newer else mainspring.AsyncTaskWorker()
    make = api.create_task_worker_router if newer else create_task_worker_router
    app = FastAPI()
    app.include_router(make(worker, "/v1", ["background"]))
    order = {"task_type": "compat.double", "params": {"number": 1}, "metadata": {"a": 1}}

    async def main():
        transport = httpx.ASGITransport(app)
        async with worker, httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            body = (await client.post("/v1/tasks", json=order)).json()
            assert body["metadata"] == {"a": 1, "task_type": "compat.double"}
            await worker.wait_for_tasks([body["id"]])
            done = (await client.get("/v1/tasks?task_status=completed")).json()
            assert [one["id"] for one in done["tasks"]] == [body["id"]]
            failed = (await client.get("/v1/tasks?task_status=failed")).json()
            assert failed["tasks"] == []
            types = (await client.get("/v1/types")).json()
            assert "compat.double" in types["task_types"]

    asyncio.run(main())
