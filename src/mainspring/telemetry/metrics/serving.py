"""The metrics of one worker, served while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.registry import Collector

from mainspring.errors import InvalidOption, StoreUnreachable
from mainspring.supervision.restart import DoublingBackoff, Restart
from mainspring.supervision.supervisor.supervisor import Supervisor
from mainspring.supervision.triggers.interval import Interval
from mainspring.supervision.workers.worker import Worker
from mainspring.telemetry.metrics.instruments import WorkerInstruments
from mainspring.telemetry.metrics.process_gauges import ProcessGauges
from mainspring.telemetry.metrics.server import MetricsServer, WorkerHealth
from mainspring.telemetry.metrics.store_gauges import READ_SECONDS, Readable, StoreGauges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from mainspring.model.condition import Condition
    from mainspring.protocols import Subscriber

LONGEST_PAUSE = 30.0
"""Seconds between two readings of a store that fails, at most."""


class Measured(WorkerHealth, Protocol):
    """The vitals of a worker."""

    @property
    def node_key(self) -> int:
        """The key of its node."""
        ...

    def condition(self) -> Condition:
        """Return how it is in numbers."""
        ...


class WorkerMetrics:
    """Serves the metrics of one worker, those of the program itself, and its probes.

    `subscriber` is to be told the worker's events. Raises InvalidOption for an address that can't
    be listened on.
    """

    def __init__(self, vitals: Measured, store: Readable, address: tuple[str, int]) -> None:
        registry = CollectorRegistry()
        self.subscriber: Subscriber = WorkerInstruments(registry)
        registry.register(ProcessGauges(vitals.condition))
        gauges = StoreGauges(store, lambda: vitals.node_key)
        registry.register(gauges)
        registry.register(ProgramMetrics())
        self._server = _server_at(address, registry, vitals)
        reading = Worker(
            "store gauges",
            gauges.read,
            Interval(READ_SECONDS),
            restart=Restart(backoff=DoublingBackoff(cap=LONGEST_PAUSE)),
            unlogged=(StoreUnreachable,),
        )
        self._supervisor = Supervisor([self._server, reading], name="metrics", grace=1.0)

    @property
    def url(self) -> str:
        """Address of the page."""
        host, port = self._server.server_name, self._server.server_port
        return f"http://[{host}]:{port}/metrics" if ":" in host else f"http://{host}:{port}/metrics"

    def __enter__(self) -> Self:
        self._supervisor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._supervisor.stop()


class ProgramMetrics(Collector):
    """Metrics that the program itself has registered with the client library, and its process's."""

    def collect(self) -> Iterator[Metric]:
        """Yield them as they are now."""
        yield from REGISTRY.collect()


def _server_at(
    address: tuple[str, int], registry: CollectorRegistry, health: WorkerHealth
) -> MetricsServer:
    try:
        return MetricsServer(address, registry, health)
    except (OSError, OverflowError, UnicodeError) as error:
        why = f"can't be listened on at {address[0]}: {error}"
        remedy = "give another one, or 0 for any that is free"
        raise InvalidOption(
            "metrics_port", address[1], owner="run_worker", why=why, remedy=remedy
        ) from error
