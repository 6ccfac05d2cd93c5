"""Tasks over HTTP: `uvicorn --app-dir examples fastapi_app:app`, then see /docs.

`curl localhost:8000/tasks --json '{"task_type": "count_words", "params": {"text": "one two"}}'`
starts a task, `curl localhost:8000/tasks` lists all, and `curl -N localhost:8000/tasks/ID/events`
follows one.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI

from mainspring import task
from mainspring.web import AsyncTaskWorker, create_task_worker_router

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

worker = AsyncTaskWorker(max_workers=10, cache_enabled=True, max_queue_size=1000)


@task("count_words")
async def count_words(text: str) -> int:
    """Count the words of a text."""
    return len(text.split())


@task("count_slowly")
async def count_slowly(
    to: int, pause: float = 0.1, progress_callback: Callable[[float], None] | None = None
) -> int:
    """Count to a number, and tell how far it is."""
    for number in range(to):
        await asyncio.sleep(pause)
        if progress_callback is not None:
            progress_callback((number + 1) / to)
    return to


@task("housekeeping", http=False)
async def housekeeping() -> None:
    """Nobody can start this over HTTP."""


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Run the worker as long as the server."""
    async with worker:
        yield


app = FastAPI(lifespan=lifespan)
app.include_router(create_task_worker_router(worker))
