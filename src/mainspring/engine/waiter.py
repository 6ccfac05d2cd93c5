"""Waiting for jobs to end, without polling: one thread listens for all who wait in this process."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.model.job import Ended
    from mainspring.protocols import Listener

NET_SECONDS = 1.0
"""A wake-up that got lost costs a waiting side this long at most."""

IDLE_SECONDS = 5.0
"""The listening thread ends when nobody has waited for so long."""


class EndedJobs(Protocol):
    """The part of a store that tells of ended jobs."""

    def ended(self, job_ids: Sequence[str]) -> dict[str, Ended]:
        """Return how those of the jobs ended that have ended."""
        ...

    def listen(self, topic: str) -> Listener:
        """Listen for `"ended"`."""
        ...


class Waiter:
    """Tells each who waits how its job ended."""

    def __init__(self, store: EndedJobs) -> None:
        self._store = store
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Callable[[Ended], None]]] = {}
        self._listener: Listener | None = None

    def wait(self, job_id: str, timeout: float | None) -> Ended | None:
        """Block until the job has ended, at most `timeout` seconds; None if it has not."""
        arrived = threading.Event()
        told: list[Ended] = []

        def tell(ended: Ended) -> None:
            told.append(ended)
            arrived.set()

        cancel = self.subscribe(job_id, tell)
        try:
            arrived.wait(timeout)
        finally:
            cancel()
        return told[0] if told else None

    def subscribe(self, job_id: str, tell: Callable[[Ended], None]) -> Callable[[], None]:
        """Call `tell` once when the job has ended, from some thread; returns the cancellation."""
        if os.getpid() != self._pid:
            self._start_afresh()
        with self._lock:
            self._waiting.setdefault(job_id, []).append(tell)
            self._listen()
        # Listening first, looking second: what ends in between is seen twice, never missed.
        self._look([job_id])
        return lambda: self._forget(job_id, tell)

    def close(self) -> None:
        """End the listening thread."""
        with self._lock:
            self._waiting.clear()
            listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    def _start_afresh(self) -> None:
        """Leave the parent's thread, lock and listener behind: this process was forked."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._waiting = {}
        self._listener = None

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = self._store.listen("ended")
            threading.Thread(
                target=self._relay,
                args=(self._listener,),
                name="mainspring-results",
                daemon=True,
            ).start()

    def _relay(self, listener: Listener) -> None:
        idle = 0.0
        while self._listener is listener and idle < IDLE_SECONDS:
            rung = listener.wait(NET_SECONDS)
            waiting = list(self._waiting)
            idle = 0.0 if waiting or rung else idle + NET_SECONDS
            if waiting:
                self._look(waiting)
        self._retire(listener)

    def _retire(self, listener: Listener) -> None:
        with self._lock:
            if self._listener is listener:
                self._listener = None
                if self._waiting:
                    self._listen()
        listener.close()

    def _look(self, job_ids: list[str]) -> None:
        for job_id, ended in self._store.ended(job_ids).items():
            with self._lock:
                tells = self._waiting.pop(job_id, [])
            for tell in tells:
                tell(ended)

    def _forget(self, job_id: str, tell: Callable[[Ended], None]) -> None:
        with self._lock:
            tells = self._waiting.get(job_id, [])
            if tell in tells:
                tells.remove(tell)
            if not tells:
                self._waiting.pop(job_id, None)
