"""neotasker's workers as a contender; it needs a loop of its own before the first one."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Any

from neotasker import background_worker, task_supervisor

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

version = f"neotasker {importlib.metadata.version('neotasker')}"


def prepare(threads: int) -> None:
    task_supervisor.set_thread_pool(max_size=threads)
    task_supervisor.start()
    task_supervisor.create_aloop("default", default=True, daemon=True)


def make(target: Callable[..., Any], **options: Any) -> Any:
    return background_worker(**options)(target)


def spawn(function: Callable[[], Any]) -> Future[Any]:
    future: Future[Any] = task_supervisor.spawn(function)
    return future
