"""Calls that were submitted to a process pool, each with the future that waits for its end.

A thread sees each call through; which may begin is the arithmetic of the thread pool's priorities.
It knows nothing of children.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mainspring.supervision.threads.pool import PriorityThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.supervision.threads.priority import PoolSizes


@dataclass(frozen=True, slots=True, eq=False)
class Submission:
    """A packed call, its priority, and the future of its end."""

    label: str
    request: bytes
    priority: int
    future: Future[Any]


class Submissions:
    """The calls that have not ended, and the threads that see them through.

    `run` returns a call's result; `on_end` is called after each.
    """

    def __init__(
        self,
        name: str,
        sizes: PoolSizes,
        *,
        run: Callable[[Submission], Any],
        on_end: Callable[[], object],
    ) -> None:
        self._threads = PriorityThreadPool(sizes, name=f"{name}-call")
        self._run = run
        self._on_end = on_end
        # Each change, and the look at all, is one step of the interpreter's.
        self._pending: set[Submission] = set()

    @property
    def outstanding(self) -> int:
        """The number of calls that have not ended."""
        return len(self._pending)

    @property
    def queued(self) -> int:
        """The number of calls that no thread has taken yet."""
        return sum(self._threads.status().queued.values())

    def submit(self, label: str, request: bytes, priority: int) -> Future[Any]:
        """Put a packed call in line. Raises `NotRunning` after `close`."""
        submission = Submission(label, request, priority, Future())
        self._pending.add(submission)
        try:
            self._threads.execute(priority, partial(self._run_submission, submission))
        except BaseException:
            self._end(submission)
            raise
        return submission.future

    def close(self) -> None:
        """Cancel what has not begun, and ask the threads to end."""
        for submission in list(self._pending):
            submission.future.cancel()
        self._threads.close()

    def join(self, timeout: float) -> None:
        """Wait for the threads, at most `timeout` seconds."""
        self._threads.join(timeout)

    def _run_submission(self, submission: Submission) -> None:
        try:
            if submission.future.set_running_or_notify_cancel():
                self._settle(submission)
        finally:
            self._end(submission)

    def _settle(self, submission: Submission) -> None:
        try:
            result = self._run(submission)
        except BaseException as error:  # noqa: BLE001  # the border of a call: its future is told
            submission.future.set_exception(error)
        else:
            submission.future.set_result(result)

    def _end(self, submission: Submission) -> None:
        self._pending.discard(submission)
        self._on_end()
