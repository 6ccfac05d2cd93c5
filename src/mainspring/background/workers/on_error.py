"""The call of a worker's `on_error`, once a failure; what it raises itself is logged."""

from __future__ import annotations

import inspect
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from mainspring.background.declared import declared
from mainspring.model import events

if TYPE_CHECKING:
    from concurrent.futures import Future

    from mainspring.background.supervisor.front import TaskSupervisor
    from mainspring.background.workers.options import Options

log = logging.getLogger("mainspring.supervision")


class FailingWorker(Protocol):
    """What an `on_error` may ask for, and who runs one that is async."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def supervisor(self) -> TaskSupervisor:
        """Who it is started by."""
        ...


def call_on_error(worker: FailingWorker, options: Options, event: events.Event) -> None:
    """Call what the options name, with `error` and `worker` if it declares them."""
    on_error = options.on_error
    if on_error is None or not isinstance(event, events.ServiceCrashed):
        return
    takes = declared(on_error)
    also = {"error": event.error, "worker": worker}
    given = {name: value for name, value in also.items() if takes.takes(name)}
    try:
        result = on_error(**{**given, **options.on_error_kwargs})
        if inspect.iscoroutine(result):
            future = worker.supervisor.background_task(result)
            future.add_done_callback(partial(_look_at, worker.name))
    except Exception:
        log.exception("on_error of worker %r raised", worker.name)


def _look_at(name: str, future: Future[Any]) -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None:
        log.error("on_error of worker %r raised", name, exc_info=error)
