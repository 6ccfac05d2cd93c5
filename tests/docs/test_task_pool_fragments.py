"""The fragments of async-task-worker's page run with the import changed, and nothing else.

Each runs in a coroutine with the names that the page takes for granted: `worker`, `data`.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import textwrap

import pytest

import mainspring

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
