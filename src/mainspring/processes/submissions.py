"""Calls that were submitted to a process pool, each with the future that waits for its end.

It knows how to wait for a call in a thread, and nothing of children. A thread is started when a
call finds none free, up to `size`.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, eq=False)
class Submission:
    """A packed call and who waits for it."""

    label: str
    request: bytes
    future: Future[Any]


class Submissions:
    """A line of calls and the threads that see them through.

    `run` returns a call's result; `on_end` is called after each.
    """

    def __init__(
        self,
        name: str,
        size: int,
        *,
        run: Callable[[Submission], Any],
        on_end: Callable[[], object],
    ) -> None:
        self._name = name
        self._size = size
        self._run = run
        self._on_end = on_end
        self._line: SimpleQueue[Submission | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._outstanding = 0

    @property
    def outstanding(self) -> int:
        """How many have not ended."""
        return self._outstanding

    @property
    def queued(self) -> int:
        """How many no thread has taken yet."""
        return self._line.qsize()

    def submit(self, label: str, request: bytes) -> Future[Any]:
        """Put a packed call in line."""
        submission = Submission(label, request, Future())
        with self._lock:
            self._outstanding += 1
            self._line.put(submission)
            if len(self._threads) < min(self._outstanding, self._size):
                self._add_thread()
        return submission.future

    def close(self) -> None:
        """Cancel what has not begun, and ask the threads to end."""
        with self._lock:
            threads = len(self._threads)
        self._cancel_queued()
        for _ in range(threads):
            self._line.put(None)

    def join(self, timeout: float) -> None:
        """Wait for the threads, at most `timeout` seconds."""
        deadline = monotonic() + timeout
        for thread in self._threads:
            thread.join(max(deadline - monotonic(), 0.0))

    def _cancel_queued(self) -> None:
        try:
            while (submission := self._line.get_nowait()) is not None:
                self._cancel(submission)
        except Empty:
            return

    def _cancel(self, submission: Submission) -> None:
        if submission.future.cancel():
            submission.future.set_running_or_notify_cancel()
        self._count_end()

    def _add_thread(self) -> None:
        name = f"{self._name}-call-{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (submission := self._line.get()) is not None:
            if submission.future.set_running_or_notify_cancel():
                self._see_through(submission)
            self._count_end()
            del submission  # its arguments and result must not outlive it here

    def _see_through(self, submission: Submission) -> None:
        try:
            result = self._run(submission)
        except BaseException as error:  # noqa: BLE001  # the border of a call: its future is told
            submission.future.set_exception(error)
        else:
            submission.future.set_result(result)

    def _count_end(self) -> None:
        with self._lock:
            self._outstanding -= 1
        self._on_end()
