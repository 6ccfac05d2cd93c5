"""The whole programs of async-task-worker's page run with the import changed, and nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys

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
