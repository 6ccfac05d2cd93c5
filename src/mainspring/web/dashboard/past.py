"""The charts of a queue, or of all: what has just been, and the past that the store keeps."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.model.duration import latency
from mainspring.model.value import Value
from mainspring.web.dashboard.chart import Line, Scale, chart
from mainspring.web.dashboard.html import Html, joined, tag
from mainspring.web.dashboard.samples import rates
from mainspring.web.dashboard.visit import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mainspring.queue.statistics import StatsPoint
    from mainspring.web.dashboard.chart import Point
    from mainspring.web.dashboard.visit import Visit

FRESH_SECONDS = 60.0
"""Seconds up to now that the last point of a rate is of."""

LEAST_LATENCY = 0.001
CHARTS = "charts"
"""The place on a page where they begin: whoever chooses another time comes back to it."""


class Range(Value, frozen=True):
    """A time that charts go back: its name and seconds, and those that each point is of."""

    name: str
    seconds: float
    every: float


LIVE = "5m"
RANGES = {
    "1h": Range("1 hour", 3_600.0, 60.0),
    "1d": Range("1 day", 86_400.0, 300.0),
    "30d": Range("30 days", 30 * 86_400.0, 3_600.0),
}
USUAL = "1h"


def past_charts(visit: Visit, path: str, queue: str | None = None) -> Html:
    """Return the charts of the time that the address says, and links to other times.

    Raises Refusal for one that there is not.
    """
    chosen = visit.query.get("range", USUAL)
    if chosen != LIVE and chosen not in RANGES:
        known = ", ".join((LIVE, *RANGES))
        raise Refusal(400, f"There is no range {chosen!r}; the ranges are {known}.")
    names = {LIVE: "5 minutes"} if queue is None else {}
    names |= {key: one.name for key, one in RANGES.items()}
    links = [
        tag(
            "a",
            name,
            href=visit.url(path, queue=queue, range=None if key == USUAL else key) + f"#{CHARTS}",
            aria_current="true" if key == chosen else None,
        )
        for key, name in names.items()
    ]
    drawn = _live(visit) if chosen == LIVE else _kept(visit, RANGES[chosen], queue)
    nav = tag("nav", links, id=CHARTS, class_="ranges", aria_label="Time that the charts go back")
    return joined(nav, tag("div", drawn, class_="two"))


def _live(visit: Visit) -> list[Html]:
    now, samples = monotonic(), visit.site.samples.all()
    flow = rates(samples)
    return [
        chart(
            "Throughput",
            [
                Line("enqueued", "c1", [(now - one.at, one.enqueued) for one in flow], "/s"),
                Line("ended", "c2", [(now - one.at, one.ended) for one in flow], "/s"),
            ],
        ),
        chart(
            "Depth",
            [
                Line("waiting", "c3", [(now - one.at, one.waiting) for one in samples]),
                Line("running", "c4", [(now - one.at, one.running) for one in samples]),
            ],
        ),
    ]


def _kept(visit: Visit, chosen: Range, queue: str | None) -> list[Html]:
    now, points = visit.site.points(chosen.seconds, chosen.every, queue)
    gap = 3.5 * chosen.every
    whole = [one for one in points if one.at + timedelta(seconds=one.seconds) <= now]
    ended = [(_age(one, now), _ended(one) / one.seconds) for one in whole]
    came = [
        (_age(one, now), one.enqueued / one.seconds) for one in whole if one.enqueued is not None
    ]
    ready = [(_age(one, now), one.ready) for one in points if one.ready is not None]
    later = [(_age(one, now), one.scheduled) for one in points if one.scheduled is not None]
    if queue is None:
        fresh = _fresh(visit)
        came, ended = [*came, *fresh[:1]], [*ended, *fresh[1:]]
    plain = Scale(chosen.seconds, gap)
    return [
        chart(
            "Throughput",
            [Line("enqueued", "c1", came, "/s"), Line("ended", "c2", ended, "/s")],
            plain,
        ),
        chart("Depth", [Line("ready", "c3", ready), Line("scheduled", "c4", later)], plain),
        chart(
            "Wait and run",
            [
                Line("wait p50", "c3", _times(points, now, "wait", "p50")),
                Line("wait p95", "c4", _times(points, now, "wait", "p95")),
                Line("run p50", "c1", _times(points, now, "run", "p50")),
                Line("run p95", "c2", _times(points, now, "run", "p95")),
            ],
            Scale(chosen.seconds, gap, LEAST_LATENCY, latency),
        ),
        chart(
            "Failures",
            [
                Line("failed", "c5", _per_minute(whole, now, "failed"), "/min"),
                Line("retried", "c3", _per_minute(whole, now, "retried"), "/min"),
            ],
            plain,
        ),
    ]


def _age(point: StatsPoint, now: datetime) -> float:
    """Return how long ago the middle of a point's time was."""
    return max(0.0, (now - point.at).total_seconds() - point.seconds / 2)


def _ended(point: StatsPoint) -> int:
    return point.completed + point.failed + point.cancelled


def _times(points: Sequence[StatsPoint], now: datetime, kind: str, quantile: str) -> list[Point]:
    known = [(one, getattr(one, kind)) for one in points]
    return [(_age(one, now), times[quantile]) for one, times in known if times is not None]


def _per_minute(points: Sequence[StatsPoint], now: datetime, name: str) -> list[Point]:
    return [(_age(one, now), 60 * getattr(one, name) / one.seconds) for one in points]


def _fresh(visit: Visit) -> list[Point]:
    """Return what came and what ended a second in the last minute, as samples tell; maybe none."""
    now = monotonic()
    flow = [one for one in rates(visit.site.samples.all()) if now - one.at < FRESH_SECONDS]
    if not flow:
        return []
    return [
        (0.0, sum(one.enqueued for one in flow) / len(flow)),
        (0.0, sum(one.ended for one in flow) / len(flow)),
    ]
