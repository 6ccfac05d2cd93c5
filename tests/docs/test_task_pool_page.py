"""The samples of async-task-worker's page run with the import changed, and nothing else.

Whole programs run as such. Fragments run in a coroutine with the names that the page takes for
granted: `worker`, `my_task`, `data` and so on.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import signal
import subprocess
import sys
import textwrap
from functools import partial

import httpx
import pytest

import mainspring

HOW_IT_WORKS = """
import asyncio
from mainspring import AsyncTaskWorker

async def main():
    # Create worker with 3 concurrent workers and 60s timeout
    worker = AsyncTaskWorker(max_workers=3, task_timeout=60)
    await worker.start()

    try:
        # Use the worker...
        pass
    finally:
        # Graceful shutdown
        await worker.stop()

asyncio.run(main())
"""

QUICK_START = """
import asyncio
from mainspring import AsyncTaskWorker, task

# Define a task with the decorator
@task("process_data")
async def process_data(data, progress_callback=None):
    total = len(data)
    result = []

    for i, item in enumerate(data):
        # Process item
        processed = item * 2
        result.append(processed)

        # Report progress (0.0 to 1.0)
        if progress_callback:
            progress_callback((i + 1) / total)

        # Simulate work
        await asyncio.sleep(0.1)

    return result

async def main():
    # Create worker with 5 concurrent workers
    worker = AsyncTaskWorker(max_workers=5)

    # Start the worker pool
    await worker.start()

    try:
        # Add a task by referencing the function directly
        task_id = await worker.add_task(
            process_data,
            [1, 2, 3, 4, 5],
            priority=0
        )

        # Monitor task progress
        while True:
            info = worker.get_task_info(task_id)
            print(f"Progress: {info.progress * 100:.1f}%")

            if info.status not in ("pending", "running"):
                break

            await asyncio.sleep(0.5)

        # Get task result
        info = worker.get_task_info(task_id)
        if info.status == "completed":
            print(f"Result: {info.result}")
        else:
            print(f"Task failed: {info.error}")

    finally:
        # Stop the worker pool
        await worker.stop()

if __name__ == "__main__":
    asyncio.run(main())
"""

DAEMON = """
import asyncio
import signal
from mainspring import AsyncTaskWorker, task

# Global worker
worker = None

@task("background_task")
async def background_task(data, progress_callback=None):
    # Long-running task implementation
    return {"status": "completed"}

async def start_worker():
    global worker
    worker = AsyncTaskWorker(max_workers=5)
    await worker.start()
    print("Worker started")

async def stop_worker():
    if worker:
        await worker.stop()
        print("Worker stopped")

async def main():
    # Handle signals for graceful shutdown
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sig, lambda: asyncio.create_task(stop_worker()))

    # Start worker
    await start_worker()

    # Add tasks as needed
    task_id = await worker.add_task(background_task, {"key": "value"})

    # Keep the daemon running
    try:
        while True:
            await asyncio.sleep(1)
    except asyncio.CancelledError:
        pass
    finally:
        await stop_worker()

if __name__ == "__main__":
    asyncio.run(main())
"""

FRAGMENTS = {
    "direct function reference": """
@task("process_data")
async def process_data(data, progress_callback=None):
    # Task implementation
    return result

# Execute by passing the function directly
task_id = await worker.add_task(process_data, data)
""",
    "task type reference": """
@task("process_data")
async def process_data(data, progress_callback=None):
    # Task implementation
    return result

# Get the function from the registry by task type name
from mainspring import get_task_function
task_func = get_task_function("process_data")

# Execute the task
task_id = await worker.add_task(task_func, data)
""",
    "task registry": """
from mainspring import task, get_task_function

# Register a task function using decorator
@task("process_data")
async def process_data_task(data):
    # Process data
    return {"processed": True}

# Get a registered task function
task_func = get_task_function("process_data")
assert task_func is process_data_task
""",
    "progress reporting": """
from mainspring import task

@task("process_items")
async def process_items(items, progress_callback=None):
    total = len(items)
    results = []

    for i, item in enumerate(items):
        # Do work
        result = await process_item(item)
        results.append(result)

        # Report progress (0.0 to 1.0)
        if progress_callback:
            progress_callback((i + 1) / total)

    return results

task_id = await worker.add_task(process_items, [1, 2])
assert await worker.get_task_future(task_id) == [1, 2]
""",
    "configuration": """
worker = AsyncTaskWorker(
    max_workers=10,           # Maximum number of concurrent tasks
    task_timeout=None,        # Default timeout for tasks in seconds (None = no timeout)
    worker_poll_interval=1.0, # How frequently workers check for new tasks (seconds)
    cache_enabled=False,      # Whether to enable result caching
    cache_ttl=3600,           # Default cache TTL in seconds (1 hour)
    cache_max_size=1000,      # Maximum cache entries (LRU eviction)
    cache_adapter=None        # Custom cache adapter (defaults to in-memory)
)
""",
    "adding and executing": """
# Add a task
task_id = await worker.add_task(
    process_items,                    # Task function
    ["item1", "item2", "item3"],      # Args
    priority=1,                       # Lower number = higher priority
    metadata={"description": "Processing batch"}  # Optional metadata
)

# Check status
task_info = worker.get_task_info(task_id)
print(f"Status: {task_info.status}, Progress: {task_info.progress:.0%}")

# Get result when complete
if task_info.status == "completed":
    result = task_info.result
""",
    "adding with all options": """
# Basic usage
task_id = await worker.add_task(my_task, arg1, arg2)

# With all options
task_id = await worker.add_task(
    my_task,                          # Task function or get_task_function("task_type")
    arg1, arg2,                       # Positional arguments passed to task
    kw1=val1, kw2=val2,               # Keyword arguments passed to task
    priority=0,                       # Task priority (lower number = higher priority)
    task_id="custom-id",              # Custom task ID (default: auto-generated UUID)
    metadata={"key": "value"},        # Custom metadata to store with task
    timeout=30,                       # Task-specific timeout in seconds
    use_cache=True,                   # Whether to use cache for this task
    cache_ttl=60                      # Custom TTL for this task's cache entry
)
assert task_id == "custom-id"
""",
    "tracking": """
# Get information about a specific task
info = worker.get_task_info(task_id)
print(f"Task ID: {info.id}")
print(f"Status: {info.status}")  # 'pending', 'running', 'completed', 'failed', 'cancelled'
print(f"Progress: {info.progress * 100:.1f}%")
print(f"Created: {info.created_at}")
print(f"Started: {info.started_at}")
print(f"Completed: {info.completed_at}")
print(f"Result: {info.result}")  # Only for completed tasks
print(f"Error: {info.error}")    # Only for failed tasks
print(f"Metadata: {info.metadata}")

# Get multiple tasks with filtering
from datetime import timedelta
from mainspring import TaskStatus

tasks = worker.get_all_tasks(
    status=TaskStatus.COMPLETED,       # Filter by status
    limit=10,                          # Maximum number to return
    older_than=timedelta(hours=1)      # Filter by age
)

# Tasks are sorted by creation time (newest first)
for task in tasks:
    print(f"{task.id}: {task.status}")
""",
    "cancellation": """
# Cancel a task (running or pending)
cancelled = await worker.cancel_task(task_id)

if cancelled:
    print("Task was cancelled successfully")
else:
    print("Task could not be cancelled (not found or already finished)")
""",
    "waiting": """
# Get a future that resolves when the task completes
future = worker.get_task_future(task_id)

try:
    # Will raise exception if task fails
    result = await future
    print(f"Task completed with result: {result}")
except asyncio.CancelledError:
    print("Task was cancelled")
except Exception as e:
    print(f"Task failed: {str(e)}")

# Wait for multiple tasks
futures = worker.get_task_futures([task_id1, task_id2])
results = await asyncio.gather(*futures, return_exceptions=True)

for i, result in enumerate(results):
    if isinstance(result, Exception):
        print(f"Task {i} failed: {result}")
    else:
        print(f"Task {i} result: {result}")
""",
    "context manager": """
async def main():
    async with AsyncTaskWorker(max_workers=5) as worker:
        # Worker is automatically started
        task_id = await worker.add_task(my_task, arg1, arg2)
        # ...

    # Worker is automatically stopped at the end of context
await main()
""",
    "cache configuration": """
# Enable caching with default settings
worker = AsyncTaskWorker(
    cache_enabled=True,      # Enable the cache
    cache_ttl=3600,          # Default time-to-live: 1 hour (in seconds)
    cache_max_size=1000      # Maximum number of entries
)

# Disable cache globally but allow per-task override
worker = AsyncTaskWorker(
    cache_enabled=False      # Globally disabled
)
""",
    "cache options of a task": """
# Override global cache settings for specific task
task_id = await worker.add_task(
    my_task,
    arg1,
    arg2,
    use_cache=True,          # Enable caching for this task
    cache_ttl=120            # Custom TTL: 2 minutes
)

# Bypass cache for a specific task even if globally enabled
task_id = await worker.add_task(
    my_task,
    arg1,
    arg2,
    use_cache=False          # Disable caching for this task
)
""",
    "cache management": """
# Invalidate a specific cache entry
invalidated = await worker.invalidate_cache(my_task, arg1, arg2)
if invalidated:
    print("Cache entry was removed")

# Invalidate using task type name
from mainspring import get_task_function
task_func = get_task_function("my_task_type")
invalidated = await worker.invalidate_cache(task_func, arg1, arg2)

# Clear the entire cache
await worker.clear_cache()
""",
    "discovery": """
from mainspring import get_task_function, get_all_task_types

# Get all registered task types
task_types = get_all_task_types()
print(f"Available tasks: {task_types}")

# Get a task function by type
task_func = get_task_function("process_data")
if task_func:
    # Execute the task
    task_id = await worker.add_task(task_func, data)
else:
    print("Task type not found")
""",
    "manual registration": """
from mainspring import register_task

async def my_task(data):
    # Task implementation
    return result

# Register the task
register_task("custom_task", my_task)

# Later, retrieve and execute
task_func = get_task_function("custom_task")
task_id = await worker.add_task(task_func, data)
""",
    "long-running task": """
@task("long_running_task")
async def long_running_task(items, progress_callback=None):
    total = len(items)

    for i, item in enumerate(items):
        # Process item

        # Report progress as a value between 0.0 and 1.0
        if progress_callback:
            progress_callback(i / total)

        await asyncio.sleep(0.1)

    # Final progress update
    if progress_callback:
        progress_callback(1.0)

    return "Completed"

assert await worker.wait_for_task(await worker.add_task(long_running_task, [1])) == "Completed"
""",
    "error handling": """
@task("might_fail")
async def might_fail(value):
    if value < 0:
        raise ValueError("Value cannot be negative")
    return value * 2

# Execute task that will fail
task_id = await worker.add_task(might_fail, -5)
await worker.join()

# Check the result
info = worker.get_task_info(task_id)
assert info.status == TaskStatus.FAILED
print(f"Task failed: {info.error}")  # "Value cannot be negative"
assert info.error == "Value cannot be negative"
""",
}

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


def run_program(text):
    done = subprocess.run(
        (sys.executable, "-W", "error", "-c", text),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout


def test_the_worker_starts_and_stops():
    run_program(HOW_IT_WORKS)


def test_the_quick_start_shows_progress_and_the_result():
    lines = run_program(QUICK_START).splitlines()
    assert lines[0] == "Progress: 0.0%"
    assert lines[-2:] == ["Progress: 100.0%", "Result: [2, 4, 6, 8, 10]"]


def test_the_daemon_stops_its_worker_at_a_signal():
    process = subprocess.Popen(
        (sys.executable, "-u", "-c", DAEMON), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "Worker started\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "Worker stopped\n"
    finally:
        process.kill()
        process.communicate()


async def process_item(item):
    return item


async def process_items(items, progress_callback=None):
    return items


async def my_task(arg1, arg2, kw1=None, kw2=None):
    return arg1


async def run_fragment(text, names):
    """Run statements that may await, in a coroutine; what they define is left in `names`."""
    tree = compile(text, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    coroutine = eval(tree, names)
    if inspect.iscoroutine(coroutine):
        await coroutine


@pytest.mark.parametrize("name", FRAGMENTS)
def test_a_fragment_of_the_page_runs(name):
    async def live():
        mainspring.register_task("my_task_type", my_task)
        async with mainspring.AsyncTaskWorker() as worker:
            ids = [await worker.add_task(my_task, 1, 2) for _ in range(3)]
            names = {public: getattr(mainspring, public) for public in mainspring.__all__}
            names |= {"asyncio": asyncio, "worker": worker, "process_item": process_item}
            names |= {"process_items": process_items, "my_task": my_task, "data": [1], "result": 2}
            names |= {"arg1": 1, "arg2": 2, "val1": 3, "val2": 4}
            names |= dict(zip(("task_id", "task_id1", "task_id2"), ids, strict=True))
            await run_fragment(textwrap.dedent(FRAGMENTS[name]), names)
            await worker.join()
            failed = {info.task: info.error for info in worker.get_all_tasks(status="failed")}
            assert failed in ({}, {"might_fail": "Value cannot be negative"})

    asyncio.run(live())


def test_the_pages_redis_adapter_works_with_a_real_server(redis_url):
    async def live():
        redis = pytest.importorskip("redis.asyncio")
        redis_client = redis.Redis.from_url(redis_url)
        names = {}
        await run_fragment(REDIS_CACHE, names)
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
