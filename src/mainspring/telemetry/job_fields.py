"""The fields that log records of a job's body carry: the job's id, task, queue and attempt."""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.model.job import RunningJob

PREFIX = "mainspring_"
"""Begins the names on a record: `extra={"task": ...}` of a user must not collide with them."""


def fields_of(job: RunningJob) -> dict[str, str | int]:
    """Return a job's fields by their names on a log record."""
    return {
        f"{PREFIX}job": job.id,
        f"{PREFIX}task": job.task,
        f"{PREFIX}queue": job.queue,
        f"{PREFIX}attempt": job.attempt,
    }


def job_of(record: logging.LogRecord) -> dict[str, str | int]:
    """Return the fields that a record carries by their short names; none outside a job."""
    names = ("job", "task", "queue", "attempt")
    found = vars(record)
    return {name: found[PREFIX + name] for name in names if PREFIX + name in found}


class JobRecords:
    """Adds the fields of the job that `current` returns to new log records; None: of no job.

    In place while it is installed at least once. It is a record factory: a filter would have to be
    on each handler, also on those that are added later. It asks the factory that it found for the
    record, and puts that one back unless the program has set another since.
    """

    def __init__(self, current: Callable[[], RunningJob | None]) -> None:
        self._current = current
        self._lock = threading.Lock()
        self._users = 0
        self._before = self._ours = logging.getLogRecordFactory()

    def install(self) -> None:
        """Add the fields from now on, until each `install` had its `remove`."""
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._before = logging.getLogRecordFactory()
                # A new one each time: a factory that the program has set may still call the last.
                self._ours = partial(_make_record, self._before, self._current)
                logging.setLogRecordFactory(self._ours)

    def remove(self) -> None:
        """Undo one `install`."""
        with self._lock:
            self._users -= 1
            if self._users == 0 and logging.getLogRecordFactory() is self._ours:
                logging.setLogRecordFactory(self._before)


def _make_record(
    factory: Callable[..., logging.LogRecord],
    current: Callable[[], RunningJob | None],
    *args: Any,
    **kwargs: Any,
) -> logging.LogRecord:
    record = factory(*args, **kwargs)
    job = current()
    if job is not None:
        vars(record).update(fields_of(job))
    return record
