"""The work of a consumer and its options: handed on whole, from the queue to its executors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.value import Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.engine.cache.cache import JobCache
    from mainspring.engine.settings import WorkerSettings
    from mainspring.model.middleware import Middleware
    from mainspring.model.task import Registry
    from mainspring.model.timetable import NewSchedule
    from mainspring.protocols import Codec, JobStore
    from mainspring.telemetry.job_events import JobEvents


class ConsumerConfig(Value, frozen=True):
    """`queues` are those it claims from (None: all), `schedules` those whose ticks it makes.

    `cache` is None if no task has one. `middleware` is around each body, and may grow. `events` are
    those of jobs, for who subscribed to the queue. `tells_metrics`: it serves them.
    """

    store: JobStore
    tasks: Registry
    codec: Codec
    settings: WorkerSettings
    events: JobEvents
    queues: tuple[str, ...] | None = None
    schedules: tuple[NewSchedule, ...] = ()
    cache: JobCache | None = None
    middleware: Sequence[Middleware] = ()
    tells_metrics: bool = False
