"""Gauges of one worker's condition, read when they are collected."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import Metric

    from mainspring.model.condition import Condition


class ProcessGauges(Collector):
    """`condition` tells how the worker is."""

    def __init__(self, condition: Callable[[], Condition]) -> None:
        self._condition = condition

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        now = self._condition()
        yield from _slots(now)
        yield _gauge("in_flight_jobs", "Claims whose outcome is not recorded.", now.in_flight)
        yield _gauge("draining", "1 when it takes no more jobs.", now.draining)
        yield _gauge("store_up", "1 when its last renewal was answered.", now.store_answers)
        if now.loop_lag is not None:
            text = "Seconds for which the loop of the coroutines kept a call waiting."
            yield _gauge("loop_lag_seconds", text, now.loop_lag)
        restarts = CounterMetricFamily(
            "mainspring_service_restarts", "Restarts of parts of it.", labels=["service"]
        )
        for service, count in now.restarts.items():
            restarts.add_metric([service], count)
        yield restarts
        version = sys.modules["mainspring"].__version__
        info = GaugeMetricFamily("mainspring_build_info", "Its version.", labels=["version"])
        info.add_metric([version], 1)
        yield info


def _slots(now: Condition) -> Iterator[Metric]:
    by_name = {
        "slots": ("Places for an attempt at a time.", "size"),
        "slots_busy": ("Places where an attempt runs.", "busy"),
        "slots_abandoned": ("Threads that were given up and still run.", "abandoned"),
    }
    for name, (text, field) in by_name.items():
        family = GaugeMetricFamily(f"mainspring_{name}", text, labels=["kind"])
        for slots in now.slots:
            family.add_metric([slots.kind], getattr(slots, field))
        yield family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"mainspring_{name}", text, value=float(value))
