"""A thread of its own for something with a lifetime, awaited from an event loop."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

log = logging.getLogger("mainspring.supervision")

T = TypeVar("T")


def hearing_signals(call: Callable[[], T], *, nap: float) -> T:
    """Call in another thread if this is the main one, which has handlers of signals run meanwhile.

    While C code of its own waits, as SQLite does for a transaction, the main thread runs none. It
    wakes each `nap` seconds for a signal that another thread took.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    ended: Future[T] = Future()
    thread = threading.Thread(target=_settle_call, args=(call, ended), daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(nap)
    return ended.result()


def _settle_call(call: Callable[[], T], ended: Future[T]) -> None:
    try:
        ended.set_result(call())
    except BaseException as error:  # noqa: BLE001  # raised again in the thread that waits
        ended.set_exception(error)


async def in_own_thread(
    body: Callable[[], object], *, name: str, began: Callable[[], None] | None = None
) -> None:
    """Run `body` in a thread of its own; return when it has ended, or raise what it raised.

    `began` is called on this loop once the thread runs. Cancelling leaves a thread that does not
    end behind, named in the log; it is a daemon, so that the process can end without it.
    """
    home = asyncio.get_running_loop()
    ended: asyncio.Future[BaseException | None] = home.create_future()
    thread = threading.Thread(target=_report_end, args=(body, home, ended), name=name, daemon=True)
    thread.start()
    if began is not None:
        began()
    try:
        error = await ended
    except asyncio.CancelledError:
        _warn_if_stuck(thread)
        raise
    thread.join()
    if error is not None:
        raise error


def _report_end(
    body: Callable[[], object],
    home: asyncio.AbstractEventLoop,
    ended: asyncio.Future[BaseException | None],
) -> None:
    error: BaseException | None = None
    try:
        body()
    except BaseException as caught:  # noqa: BLE001  raised again by who awaits
        error = caught
    # A loop that is closed has nobody who waits.
    with suppress(RuntimeError):
        home.call_soon_threadsafe(_settle, ended, error)


def _settle(ended: asyncio.Future[BaseException | None], error: BaseException | None) -> None:
    if not ended.done():
        ended.set_result(error)


def _warn_if_stuck(thread: threading.Thread) -> None:
    if thread.is_alive():
        log.warning("thread %r does not end and is left behind:\n%s", thread.name, stack_of(thread))


def whereabouts_of(task: asyncio.Task[Any]) -> str:
    """Return where a task is just now, as text; from any thread.

    That is what it awaits, from the outermost coroutine in, or where it keeps its loop's thread.
    """
    frames: list[tuple[FrameType, int]] = []
    awaited: Any = task.get_coro()
    if getattr(awaited, "cr_running", False):
        return _running_stack(awaited.cr_frame)
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None)
        if frame is not None:
            frames.append((frame, frame.f_lineno))
        awaited = getattr(awaited, "cr_await", None)
    return "".join(traceback.StackSummary.extract(frames).format()).rstrip()


def _running_stack(outermost: FrameType) -> str:
    for innermost in sys._current_frames().values():  # noqa: SLF001  the documented name
        if any(frame is outermost for frame, _ in traceback.walk_stack(innermost)):
            return "".join(traceback.format_stack(innermost)).rstrip()
    return ""


def stack_of(thread: threading.Thread) -> str:
    """Return where a thread is just now, as text; empty if it has ended."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001  the documented name
    return "" if frame is None else "".join(traceback.format_stack(frame)).rstrip()
