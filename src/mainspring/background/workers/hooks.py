"""The hooks of a background worker, `on_error` among them: what they are, and their calls."""

from __future__ import annotations

import inspect
import logging
import sys
import threading
from typing import TYPE_CHECKING, Any, Protocol

from mainspring.background.accepted_arguments import accepted_arguments
from mainspring.model.user_frames import exc_info_of
from mainspring.supervision.inside import outside

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from mainspring.background.supervisor.front import TaskSupervisor
    from mainspring.background.workers.options import Options

log = logging.getLogger("mainspring.supervision")

OF_THE_END = ("before_stop", "send_stop_events", "after_stop")

NEVER_AWAITED = (
    "before_start",
    "after_start",
    *OF_THE_END,
    "process_result",
    "before_queue_get",
    "after_queue_get",
    "error",
)
"""The methods of a worker that are called and not awaited, whatever its target is."""


class FailingWorker(Protocol):
    """A worker, as its `on_error` sees it."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def supervisor(self) -> TaskSupervisor:
        """The supervisor that starts it."""
        ...

    @property
    def worker_options(self) -> Options:
        """The options that it has now."""
        ...


class Hooks:
    """The methods of a worker that subclasses may override; here they do nothing."""

    def before_start(self) -> None:
        """Do something before the start; what it raises fails the start."""

    def after_start(self) -> None:
        """Do something after the start; what it raises stops the worker again."""

    def before_stop(self) -> None:
        """Do something before it is asked to end."""

    def send_stop_events(self) -> None:
        """Wake what the target waits for."""

    def after_stop(self) -> None:
        """Do something after its end."""

    def process_result(self, result: Any) -> Any:  # noqa: ARG002  for subclasses
        """Look at what the target returned; False ends the worker."""
        return None

    def mark_started(self) -> None:
        """Note that a `loop` of one's own runs: nothing to do, since the worker knows."""

    def mark_stopped(self) -> None:
        """Note that a `loop` of one's own ends: nothing to do, since the worker knows."""


def is_own(worker: object, plain: type, *hooks: str) -> bool:
    """Return whether one of these hooks is another than that of `plain`, which does nothing."""
    for hook in hooks:
        if getattr(getattr(worker, hook), "__func__", None) is not getattr(plain, hook):
            return True
    return False


def guarded(hook: Callable[[], object], name: str) -> None:
    """Call a hook; whatever it raises is logged and harms nobody.

    But for Ctrl+C, which Python raises in the main thread wherever that is.
    """
    try:
        hook()
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        if interrupted and threading.current_thread() is threading.main_thread():
            raise
        called = getattr(hook, "__name__", hook)
        log.exception("hook %s of worker %r raised", called, name, exc_info=exc_info_of(error))


def call_on_error(worker: FailingWorker, error: BaseException | None) -> None:
    """Call `on_error`, with `error` and `worker` if it declares them; log what it raises."""
    on_error = worker.worker_options.on_error
    if on_error is None:
        return
    takes = accepted_arguments(on_error)
    also = {"error": error, "worker": worker}
    given = {name: value for name, value in also.items() if takes.takes(name)}
    try:
        result = on_error(**{**given, **worker.worker_options.on_error_kwargs})
        if inspect.iscoroutine(result):
            with outside():
                future = worker.supervisor.background_task(result)
            future.add_done_callback(lambda done: _log_error(worker.name, done))
    except Exception as another:
        log.exception("on_error of worker %r raised", worker.name, exc_info=exc_info_of(another))


def call_error(hook: Callable[[], object], name: str, error: Exception) -> None:
    """Call a worker's own `error` while `error` is the one being handled; log what it raises."""
    try:
        raise error  # noqa: TRY301  so that it is the one being handled
    except Exception:  # noqa: BLE001  just raised
        try:
            hook()
        except Exception as another:
            if another is not error:
                log.exception("error of worker %r raised", name, exc_info=exc_info_of(another))


def error_at_hand() -> BaseException | None:
    """Return the error that is being handled here."""
    return sys.exc_info()[1]


def _log_error(name: str, future: Future[Any]) -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None:
        log.error("on_error of worker %r raised", name, exc_info=exc_info_of(error))
