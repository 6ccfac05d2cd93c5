"""Counters and histograms of one worker: a subscriber of the engine's events."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import Counter, Histogram

from mainspring.model.events import (
    AttemptsEnded,
    NodeLost,
    NodeRescued,
    OrphansRescued,
    OutcomesRefused,
    ScheduleTicked,
    ServiceCrashed,
    ServiceStarted,
)
from mainspring.model.job import EXPIRED, OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client import CollectorRegistry

    from mainspring.model.job import Claim, Outcome

LANE = ("queue", "task")

SECONDS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0),
)
"""Upper ends of the histograms' buckets: jobs take a millisecond or an hour."""

OUTCOMES = {
    OutcomeKind.COMPLETED: "completed",
    OutcomeKind.RETRY: "retried",
    OutcomeKind.FAILED: "failed",
    OutcomeKind.CANCELLED: "cancelled",
    OutcomeKind.SNOOZED: "snoozed",
    OutcomeKind.CRASHED: "crashed",
}
"""Words of the label; a claim that was given back is no attempt."""

FATES = ("requeued", "failed")
"""Words for what became of the jobs of a lost node."""


class LaneInstruments(NamedTuple):
    """Instruments of one task in one queue: looking them up costs more than to count."""

    ended: Mapping[str, Counter]
    run: Histogram
    wait: Histogram


class WorkerInstruments:
    """Observes what one worker does; `registry` is where its instruments are collected."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"mainspring_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str) -> Histogram:
            return Histogram(f"mainspring_{name}", text, LANE, buckets=SECONDS, registry=registry)

        self._lanes: dict[tuple[str, ...], LaneInstruments] = {}
        self._jobs = counter("jobs", "Attempts that have ended here.", *LANE, "outcome")
        self._wait = histogram("job_wait_seconds", "From when a job could run to its begin.")
        self._run = histogram("job_run_seconds", "From the begin of an attempt to its end.")
        self._lost = counter("leases_lost", "Leases that were not renewed in time.")
        self._refused = counter("outcomes_refused", "Outcomes that came too late.")
        self._nodes = counter("nodes_rescued", "Lost nodes that this one has found.")
        self._rescued = counter("jobs_rescued", "Jobs of lost nodes, by what became.", "fate")
        self._ticks = counter("schedule_ticks", "Ticks that were made here.", "schedule")
        self._crashes = counter("service_failures", "Failures of parts of it.", "service")
        # From 0, or Prometheus sees no increase by the first.
        for fate in FATES:
            self._rescued.labels(fate)

    def __call__(self, event: object) -> None:
        """Observe an event; most are nothing to count."""
        match event:
            case AttemptsEnded():
                for claim, outcome in event.ended:
                    if outcome.kind is not OutcomeKind.RELEASED:
                        self._observe(claim, outcome)
            case NodeLost():
                self._lost.inc()
            case OutcomesRefused():
                self._refused.inc(len(event.outcomes))
            case NodeRescued():
                self._nodes.inc()
                self._count_rescued(event)
            case OrphansRescued():
                self._count_rescued(event)
            case ScheduleTicked():
                self._ticks.labels(event.schedule).inc()
            case ServiceStarted() | ServiceCrashed():
                self._crashes.labels(event.service).inc(isinstance(event, ServiceCrashed))

    def _observe(self, claim: Claim, outcome: Outcome) -> None:
        place = claim.queue, claim.task
        lane = self._lanes.get(place) or self._new_lane(*place)
        expired = outcome.failure == EXPIRED
        lane.ended["expired" if expired else OUTCOMES[outcome.kind]].inc()
        if outcome.began:
            lane.run.observe(max(outcome.ended - outcome.began, 0.0))
            if claim.ready_at is not None:
                lane.wait.observe(max(outcome.began - claim.ready_at, 0.0))

    def _new_lane(self, *place: str) -> LaneInstruments:
        # With every outcome from the start: of a counter that begins at 1, Prometheus sees no
        # increase.
        words = (*OUTCOMES.values(), "expired")
        ended = {word: self._jobs.labels(*place, word) for word in words}
        lane = LaneInstruments(ended, self._run.labels(*place), self._wait.labels(*place))
        self._lanes[place] = lane
        return lane

    def _count_rescued(self, event: NodeRescued | OrphansRescued) -> None:
        for fate, jobs in zip(FATES, (event.requeued, event.failed), strict=True):
            self._rescued.labels(fate).inc(jobs)
