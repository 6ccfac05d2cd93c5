"""The life of a job as a picture: waited, ran, failed, waited, ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.job import FINAL
from mainspring.model.value import Value
from mainspring.web.dashboard.html import Html, tag
from mainspring.web.dashboard.words import lasted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from mainspring.model.view import AttemptRecord, JobRecord

WIDTH, HEIGHT = 1000, 36
THINNEST = 4
"""Width of the shortest attempt, which must still be seen."""

MOST_ATTEMPTS = 50
"""Attempts that are drawn and listed, the last ones."""


class Stretch(Value, frozen=True):
    """A time in which a job did one thing."""

    kind: str
    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"{self.kind} for {lasted(self.start, self.end)}"


def timeline(record: JobRecord, attempts: Sequence[AttemptRecord], now: datetime) -> Html:
    """Return the picture, with the same as text for those who can't see it."""
    stretches = list(stretches_of(record, attempts[-MOST_ATTEMPTS:], now))
    start = stretches[0].start
    whole = max(1e-6, (stretches[-1].end - start).total_seconds())
    drawn = [_drawn(one, start, whole) for one in stretches]
    picture = tag(
        "svg",
        drawn,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label="It " + ", then ".join(map(str, stretches)),
        class_="timeline",
    )
    kinds = dict.fromkeys(one.kind for one in stretches)
    legend = [tag("span", tag("i", class_=f"fill {kind}"), kind) for kind in kinds]
    total = f"{lasted(start, stretches[-1].end)} in all"
    return tag("div", picture, tag("p", legend, tag("span", total), class_="legend"))


def stretches_of(
    record: JobRecord, attempts: Sequence[AttemptRecord], now: datetime
) -> Iterator[Stretch]:
    """Yield what the job did from its enqueuing until it ended, or until now."""
    at = record.created_at if not attempts else min(record.created_at, attempts[0].started_at)
    for attempt in attempts:
        if attempt.started_at > at:
            yield Stretch("waited", at, attempt.started_at)
        end = max(attempt.ended_at or now, attempt.started_at)
        yield Stretch(attempt.outcome or "running", attempt.started_at, end)
        at = end
    end = record.completed_at if record.state in FINAL and record.completed_at else now
    if not attempts or (record.state not in FINAL and attempts[-1].ended_at is not None):
        yield Stretch("waited", at, max(end, at))


def _drawn(stretch: Stretch, start: datetime, whole: float) -> Html:
    x = WIDTH * (stretch.start - start).total_seconds() / whole
    width = WIDTH * (stretch.end - stretch.start).total_seconds() / whole
    waits = stretch.kind == "waited"
    width = width if waits else max(THINNEST, width)
    shape = tag(
        "rect",
        x=f"{min(x, WIDTH - width):.1f}",
        y=HEIGHT // 3 if waits else 2,
        width=f"{width:.1f}",
        height=HEIGHT // 3 if waits else HEIGHT - 4,
        class_=f"fill {stretch.kind}",
    )
    return tag("g", tag("title", str(stretch)), shape)
