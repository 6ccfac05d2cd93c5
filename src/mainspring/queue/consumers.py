"""The consumers of one queue in this process: made, asked to stop, and forgotten at their end."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mainspring.engine.consumer_config import ConsumerConfig
from mainspring.errors import MissingExtra
from mainspring.queue.options import LOOPBACK, names_of, settings_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mainspring.engine.cache.setup import CacheSetup
    from mainspring.engine.consumer import Consumer
    from mainspring.engine.settings import WorkerSettings
    from mainspring.model.timetable import NewSchedule
    from mainspring.protocols import JobStore
    from mainspring.queue.binding import Binding
    from mainspring.queue.options import OwnOptions
    from mainspring.telemetry.metrics.serving import Measured, WorkerMetrics


log = logging.getLogger("mainspring.worker")

LAST_EVENTS_SECONDS = 2.0
"""Seconds that the end of a worker waits at most for subscribers to hear of it."""


class Consumers:
    """Thread-safe. `settings` are those of each, but for a worker's own options.

    `declared` tells the schedules when a consumer is made, and when it is to follow.
    """

    def __init__(
        self,
        binding: Binding,
        settings: WorkerSettings,
        caches: CacheSetup,
        declared: Callable[[], Sequence[NewSchedule]],
    ) -> None:
        self.settings = settings
        self._binding = binding
        self._caches = caches
        self._declared = declared
        self._running: list[Consumer] = []

    @contextmanager
    def consumer(
        self, queues: Sequence[str] | None, own: OwnOptions | None = None
    ) -> Iterator[Consumer]:
        """Return a consumer that `shutdown` reaches during the block."""
        consumer = self.new_consumer(queues, own)
        with self._measured(consumer, own or {}):
            self._running.append(consumer)
            try:
                consumer.follow(self._declared())  # what was declared since it was made
                yield consumer
            finally:
                self._running.remove(consumer)
                self._binding.feed.flush(LAST_EVENTS_SECONDS)

    @contextmanager
    def at_work(self, queues: Sequence[str] | None, own: OwnOptions) -> Iterator[None]:
        """Run a consumer during the block."""
        with self.consumer(queues, own) as consumer:
            consumer.start()
            try:
                yield
            finally:
                # The end of the block is no second request: `shutdown` may have been the first.
                consumer.shutdown(at_once=False)
                consumer.wait()

    @contextmanager
    def _measured(self, consumer: Consumer, own: OwnOptions) -> Iterator[None]:
        """Serve the metrics of a consumer during the block, if its options say so.

        From before it joins the store: a probe of its life needs none.
        """
        port = own.get("metrics_port")
        if port is None:
            yield
            return
        address = own.get("metrics_host", LOOPBACK), port
        metrics = new_metrics(consumer.vitals, self._binding.client.store, address)
        consumer.subscribe(metrics.subscriber)
        with metrics:
            log.info("metrics and probes are at %s", metrics.url)
            yield

    def follow(self) -> None:
        """Have the consumers serve what was registered or declared since they started."""
        for consumer in list(self._running):
            consumer.follow(self._declared())

    def shutdown(self, *, at_once: bool | None = None) -> None:
        """Ask all of them to stop; returns at once."""
        for consumer in list(self._running):
            consumer.shutdown(at_once=at_once)

    def new_consumer(
        self, queues: Sequence[str] | None = None, own: OwnOptions | None = None
    ) -> Consumer:
        """Return a consumer that was not started; raises InvalidOption."""
        from mainspring.engine.consumer import Consumer  # noqa: PLC0415  # a lazy door

        consumer = Consumer(self.config(queues, own))
        if own is not None and own.get("log_jobs"):
            from mainspring.telemetry.job_log import log_jobs  # noqa: PLC0415  # as above

            consumer.subscribe(log_jobs)
        return consumer

    def config(
        self, queues: Sequence[str] | None = None, own: OwnOptions | None = None
    ) -> ConsumerConfig:
        """Return the work and options of a consumer; raises InvalidOption."""
        store, tasks, codec = self._binding.client.store, self._binding.tasks, self._binding.codec
        if (names := names_of(queues)) is not None:
            from mainspring.queue.names import warn_of_queues  # noqa: PLC0415  # as above

            warn_of_queues(store, tasks, names)
        return ConsumerConfig(
            store,
            tasks,
            codec,
            settings_with(self.settings, own or {}),
            self._binding.job_events,
            queues=names,
            schedules=tuple(self._declared()),
            cache=self._caches.open(tasks, codec),
            middleware=self._binding.middleware,
            tells_metrics=own is not None and own.get("metrics_port") is not None,
        )


def new_metrics(vitals: Measured, store: JobStore, address: tuple[str, int]) -> WorkerMetrics:
    """Return the metrics of a worker; raises MissingExtra, or InvalidOption for the address."""
    try:
        from mainspring.telemetry.metrics.serving import WorkerMetrics  # noqa: PLC0415  # an extra
    except ImportError as missing:
        if (missing.name or "").partition(".")[0] != "prometheus_client":
            raise
        raise MissingExtra("metrics_port", "metrics") from missing
    return WorkerMetrics(vitals, store, address)
