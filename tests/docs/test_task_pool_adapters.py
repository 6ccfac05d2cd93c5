"""The Redis cache and the web application of async-task-worker's page run with our import."""

from __future__ import annotations

import asyncio
from functools import partial

import httpx
import pytest

import mainspring

REDIS_CACHE = """
from mainspring import CacheAdapter
from typing import Any, Optional, Tuple

class RedisCache(CacheAdapter):
    '''Example Redis-based cache adapter'''

    def __init__(self, redis_client):
        self.redis = redis_client

    async def get(self, key: str) -> Tuple[bool, Any]:
        '''Get a value from the cache'''
        value = await self.redis.get(key)
        if value is None:
            return False, None

        # Deserialize value (e.g., from JSON or pickle)
        deserialized = self._deserialize(value)
        return True, deserialized

    async def set(self, key: str, value: Any, ttl: Optional[int] = None) -> None:
        '''Set a value in the cache'''
        # Serialize value (e.g., to JSON or pickle)
        serialized = self._serialize(value)
        await self.redis.set(key, serialized, ex=ttl)

    async def delete(self, key: str) -> bool:
        '''Delete a value from the cache'''
        result = await self.redis.delete(key)
        return result > 0

    async def clear(self) -> None:
        '''Clear all items (matching a pattern)'''
        # Implementation depends on your Redis usage pattern
        # For example, using a prefix for all keys
        keys = await self.redis.keys("task_cache:*")
        if keys:
            await self.redis.delete(*keys)

    def _serialize(self, value):
        import json
        return json.dumps(value)

    def _deserialize(self, data):
        import json
        return json.loads(data)
"""


FASTAPI = """
from fastapi import FastAPI
from contextlib import asynccontextmanager
from mainspring.web import AsyncTaskWorker, create_task_worker_router

# Create task worker
worker = AsyncTaskWorker(max_workers=10, cache_enabled=True)

# Define application lifespan
@asynccontextmanager
async def lifespan(app: FastAPI):
    await worker.start()  # Start worker when app starts
    yield
    await worker.stop()  # Stop worker when app shuts down

# Create FastAPI app with lifespan
app = FastAPI(lifespan=lifespan)

# Create and include the task worker router
app.include_router(create_task_worker_router(worker))
"""

CUSTOM_ROUTER = """
task_router = create_task_worker_router(
    worker,
    prefix="/api/v1",         # Add a URL prefix to all routes
    tags=["background-tasks"] # Custom OpenAPI documentation tags
)
"""

SUBMIT = """
import httpx

async def submit_task():
    async with httpx.AsyncClient() as client:
        response = await client.post(
            "http://localhost:8000/tasks",
            json={
                "task_type": "process_data",
                "params": {
                    "data_id": "123",
                    "options": {"normalize": True}
                },
                "priority": 1
            }
        )

        task_data = response.json()
        task_id = task_data["id"]
        return task_id
"""

CHECK = """
async def check_task(task_id):
    async with httpx.AsyncClient() as client:
        response = await client.get(f"http://localhost:8000/tasks/{task_id}")

        if response.status_code == 200:
            task_data = response.json()
            status = task_data["status"]

            if status == "completed":
                return task_data["result"]
            elif status == "failed":
                raise RuntimeError(f"Task failed: {task_data['error']}")
            else:
                return f"Task is {status} ({task_data['progress']*100:.1f}% complete)"
"""


async def my_task(arg1, arg2, kw1=None, kw2=None):
    return arg1


def test_the_pages_redis_adapter_works_with_a_real_server(redis_url):
    async def live():
        redis = pytest.importorskip("redis.asyncio")
        redis_client = redis.Redis.from_url(redis_url)
        names = {}
        exec(REDIS_CACHE, names)
        worker = mainspring.AsyncTaskWorker(
            cache_enabled=True, cache_adapter=names["RedisCache"](redis_client)
        )
        async with worker:
            for expected in (False, True):
                handle = await worker.submit(my_task, [1], 2)
                assert await handle == [1]
                assert handle.info.from_cache is expected
            assert await worker.invalidate_cache(my_task, [1], 2)
            await worker.clear_cache()
            assert worker.stats()["cache"]["errors"] == 0
        await redis_client.aclose()

    asyncio.run(live())


def test_the_pages_app_serves_the_pages_clients(monkeypatch):
    names = {}
    for sample in (FASTAPI, CUSTOM_ROUTER, SUBMIT, CHECK):
        exec(sample, names)
    app = names["app"]
    # The page's port may be another's here: its clients reach the app without one.
    client = partial(httpx.AsyncClient, transport=httpx.ASGITransport(app))
    monkeypatch.setattr(httpx, "AsyncClient", client)

    async def process_data(data_id, options):
        return [data_id, options]

    async def live():
        mainspring.register_task("process_data", process_data)
        async with app.router.lifespan_context(app):
            task_id = await names["submit_task"]()
            assert (await names["check_task"](task_id)).startswith(("Task is", "["))
            await names["worker"].join()
            assert await names["check_task"](task_id) == ["123", {"normalize": True}]

    asyncio.run(live())
