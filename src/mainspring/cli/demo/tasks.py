"""The demo's app: a queue and its two tasks. `mainspring worker --app` finds it by this name.

The queue is in the store that MAINSPRING_URL names. Only paths and figures go through it.
"""

from __future__ import annotations

import asyncio
import os

from mainspring import Queue
from mainspring.cli.demo.source import Listing, SourceFile, list_sources, measure

MOST_CHILDREN = 4
"""More in each worker take longer to start than they save."""

# Two workers share the cores.
queue = Queue(workers=min(MOST_CHILDREN, max(1, (os.cpu_count() or 1) // 2)))


@queue.task(queue="folders", retries=0)
async def list_folder(path: str, skip: list[str]) -> Listing:
    """List a folder, on the worker's event loop."""
    return await asyncio.to_thread(list_sources, path, skip)


@queue.task(queue="files", executor="process")
def index_file(path: str) -> SourceFile:
    """Measure a file, in a child process of the worker."""
    return measure(path)
