"""mainspring's in-process workers as a contender."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Any

from mainspring import background_worker, task_supervisor

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

version = f"mainspring {importlib.metadata.version('mainspring')}"


def prepare(threads: int) -> None:
    task_supervisor.set_thread_pool(max_size=threads)
    task_supervisor.start()


def make(target: Callable[..., Any], **options: Any) -> Any:
    # Options that only the row knows fit none of its typed forms.
    decorate: Any = background_worker
    return decorate(**options)(target)


def spawn(function: Callable[[], Any]) -> Future[Any]:
    return task_supervisor.spawn(function)
