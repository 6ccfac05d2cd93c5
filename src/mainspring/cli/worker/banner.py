"""The lines that a worker prints at its start: what it runs, where, and how much at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mainspring
from mainspring.stores.public_url import public_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mainspring.queue import Queue

KINDS = {"async": "coroutines", "thread": "threads", "process": "child processes"}

NO_TASK = "no task is registered: name the modules of tasks with --import"


def banner(
    queue: Queue, queues: Sequence[str] | None, *, workers: int, async_slots: int, verbose: bool
) -> Iterator[str]:
    """Yield the lines; `workers` is the number of slots for threads and for child processes."""
    yield "Starting worker..."
    yield f"Registered tasks: {len(queue.tasks)}"
    if verbose:
        yield from (f"  {task.name} ({task.executor}, {task.queue})" for task in queue.tasks)
    yield f"Queues: {', '.join(queues or sorted({task.queue for task in queue.tasks}))}"
    yield f"Version: {mainspring.__version__}"
    yield f"Store: {public_url(queue.url)}"
    slots = {"async": async_slots, "thread": workers, "process": workers}
    used = {task.executor for task in queue.tasks}
    at_once = (f"{slots[kind]} {noun}" for kind, noun in KINDS.items() if kind in used)
    yield f"Concurrency: {', '.join(at_once) or NO_TASK}"
