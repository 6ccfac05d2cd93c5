"""The consumers of one queue in this process: made, asked to stop, and forgotten at their end."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from mainspring.queue.options import names_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mainspring.engine.consumer import Consumer
    from mainspring.engine.settings import WorkerSettings
    from mainspring.model.task import Registry
    from mainspring.model.timetable import NewSchedule
    from mainspring.protocols import Codec, JobStore, Subscriber


class Crew:
    """Thread-safe. `declared` tells the schedules when a consumer is made, no sooner."""

    def __init__(
        self,
        store: JobStore,
        tasks: Registry,
        codec: Codec,
        settings: WorkerSettings,
        declared: Callable[[], Sequence[NewSchedule]],
    ) -> None:
        self.settings = settings
        self._store = store
        self._tasks = tasks
        self._codec = codec
        self._declared = declared
        self._consumers: list[Consumer] = []
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        """Tell `subscriber` what happens in the consumers that are made from now on."""
        self._subscribers.append(subscriber)

    @contextmanager
    def consumer(
        self, queues: Sequence[str] | None, *, workers: int | None, grace: float | None
    ) -> Iterator[Consumer]:
        """Return a consumer that `shutdown` reaches during the block.

        `workers` and `grace` take the place of the settings' own, unless they are None.
        """
        settings = self.settings
        if workers is not None:
            settings = replace(settings, workers=workers or os.cpu_count() or 1)
        if grace is not None:
            settings = replace(settings, grace=grace)
        consumer = self.new_consumer(queues, settings)
        self._consumers.append(consumer)
        try:
            yield consumer
        finally:
            self._consumers.remove(consumer)

    @contextmanager
    def at_work(
        self, queues: Sequence[str] | None, *, workers: int | None, grace: float | None
    ) -> Iterator[None]:
        """Run a consumer during the block."""
        with self.consumer(queues, workers=workers, grace=grace) as consumer:
            consumer.start()
            try:
                yield
            finally:
                consumer.shutdown()
                consumer.wait()

    def shutdown(self) -> None:
        """Ask all of them to stop; returns at once."""
        for consumer in list(self._consumers):
            consumer.shutdown()

    def new_consumer(self, queues: Sequence[str] | None, settings: WorkerSettings) -> Consumer:
        """Return a consumer that was not started; raises InvalidOption."""
        from mainspring.engine.consumer import Consumer  # noqa: PLC0415  # a lazy door

        consumer = Consumer(
            self._store,
            self._tasks,
            self._codec,
            settings,
            names_of(queues),
            schedules=self._declared(),
        )
        for subscriber in self._subscribers:
            consumer.subscribe(subscriber)
        return consumer
