"""The thread that asks the store: the screen and its keys never wait for it."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from mainspring.cli.app_loader.audit import note
from mainspring.cli.top.snapshot import read_snapshot
from mainspring.clock import monotonic
from mainspring.errors import MainspringError
from mainspring.model.counted import counted

if TYPE_CHECKING:
    from mainspring.cli.top.navigator import Action
    from mainspring.cli.top.snapshot import Snapshot
    from mainspring.queue import Queue


SILENT_SECONDS = 3.0
"""Seconds without an answer of the store from which on that is trouble."""


class StoreReader:
    """Reads the queue every so many seconds, and carries out orders; `woken` can be read then.

    `now` is what was read last, `done` what became of an order.
    """

    def __init__(self, queue: Queue, interval: float) -> None:
        self.now: Snapshot | None = None
        self._trouble = ""
        self._asked_at: float | None = None
        self.done = ""
        self.job_id: str | None = None
        self.woken, self._waker = os.pipe()
        self._queue = queue
        self._interval = interval
        self._orders: SimpleQueue[Action | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="mainspring-top", daemon=True)

    @property
    def trouble(self) -> str:
        """The reason for which `now` is not new; empty if it is."""
        asked_at = self._asked_at
        silence = 0.0 if asked_at is None else monotonic() - asked_at
        if silence > SILENT_SECONDS:
            return f"the store has not answered for {silence:.0f} s"
        return self._trouble

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Read no more; a call of the store that hangs is left behind."""
        self._orders.put(None)
        self._thread.join(self._interval)

    def order(self, action: Action) -> None:
        """Carry out an order, and read anew."""
        self._orders.put(action)

    def _work(self) -> None:
        action: Action | None
        while True:
            self._read()
            try:
                action = self._orders.get(timeout=self._interval)
            except Empty:
                continue
            if action is None:
                return
            try:
                self.done = self._carry_out(action)
            except Exception as error:  # noqa: BLE001  # as in `_read`
                self.done = _said(error)

    def _read(self) -> None:
        self._asked_at = monotonic()
        try:
            self.now = read_snapshot(self._queue, self.job_id, self.now)
            self._trouble = ""
        except Exception as error:  # noqa: BLE001  # whatever it is: a screen that stands still lies
            self._trouble = _said(error)
        self._asked_at = None
        with suppress(OSError):
            os.write(self._waker, b".")

    def _carry_out(self, action: Action) -> str:
        if action.verb == "retry":
            again = [job.id for job in self._queue.retry(list(action.names)) if job is not None]
            note(self._queue, "jobs retry", again)
            return f"{counted(len(again), 'job')} of {len(action.names)} will run again"
        if action.verb == "cancel":
            ended = [one for one in action.names if self._queue.cancel(one)]
            note(self._queue, "jobs cancel", ended)
            return f"job {action.names[0]} " + ("is cancelled" if ended else "has ended by itself")
        if action.verb == "pause":
            changed = [name for name in action.names if self._queue.pause(name)]
            note(self._queue, "queues pause", changed)
            return f"{action.names[0]} is paused"
        if action.verb == "resume":
            changed = [name for name in action.names if self._queue.resume(name)]
            note(self._queue, "queues resume", changed)
            return f"{action.names[0]} goes on"
        return ""


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, MainspringError) else repr(error)
