"""Events, as values for subscribers: log, metrics, traces, views."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mainspring.model.job_event import JobEvent  # part of a union

if TYPE_CHECKING:
    from datetime import datetime

    from mainspring.model.job import Claim, Outcome, Rescued
    from mainspring.model.view import LaneRecord


@dataclass(frozen=True, slots=True)
class ServiceStarted:
    """A supervised service is ready."""

    service: str


@dataclass(frozen=True, slots=True)
class ServiceCrashed:
    """A supervised service, or one run of a worker's target, raised; `restart_in` is in seconds.

    `restart_in` is None when it will not be started again.
    """

    service: str
    error: BaseException
    restart_in: float | None


@dataclass(frozen=True, slots=True)
class ServiceStopped:
    """A supervised service has ended as it was asked to."""

    service: str


@dataclass(frozen=True, slots=True)
class AttemptsEnded:
    """Outcomes of attempts were recorded, all in one transaction."""

    ended: tuple[tuple[Claim, Outcome], ...]


@dataclass(frozen=True, slots=True)
class OutcomesRefused:
    """Outcomes came too late: the jobs have been given to others (stale fence)."""

    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class NodeJoined:
    """A worker of this process has joined the store by that name; anew after it lost its lease."""

    node: str


@dataclass(frozen=True, slots=True)
class NodeRescued:
    """A lost node's jobs were taken from it: so many run again, so many failed for good.

    `jobs` are their keys in the store.
    """

    node: str
    requeued: int
    failed: int
    jobs: Rescued | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class OrphansRescued:
    """Running jobs had no live node: so many run again, so many failed for good.

    `jobs` are their keys in the store.
    """

    requeued: int
    failed: int
    jobs: Rescued | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ShutdownAsked:
    """A consumer was asked to stop, now for the `times`-th time: with the grace, or at once."""

    times: int
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class NodeLost:
    """The node could not renew its lease in time; what it ran is disowned."""

    node: str


@dataclass(frozen=True, slots=True)
class ConsumerUnhealthy:
    """As many abandoned threads still run as the node has slots for: it claims no thread jobs."""

    node: str
    abandoned: int


@dataclass(frozen=True, slots=True)
class JobsUnclaimable:
    """Jobs wait in these lanes whose task no live node serves."""

    lanes: tuple[LaneRecord, ...]


@dataclass(frozen=True, slots=True)
class ScheduleTicked:
    """A tick of a schedule was made here, for that moment (aware UTC), with these jobs.

    None, if ticks were missed and its rule is to skip them. `lag`: seconds from the moment on.
    """

    schedule: str
    tick: datetime
    job_ids: tuple[str, ...]
    lag: float = 0.0


@dataclass(frozen=True, slots=True)
class LoopStalled:
    """An event loop has run nothing else for so many seconds; `stack` says what keeps it."""

    loop: str
    seconds: float
    stack: str


@dataclass(frozen=True, slots=True)
class EventsDropped:
    """Events that this subscriber was not told of, `count` of them: it was too slow."""

    count: int


KINDS: dict[type, str] = {
    ServiceStarted: "service_started",
    ServiceCrashed: "service_crashed",
    ServiceStopped: "service_stopped",
    OutcomesRefused: "outcomes_refused",
    NodeJoined: "node_joined",
    NodeLost: "node_lost",
    NodeRescued: "node_rescued",
    OrphansRescued: "orphans_rescued",
    ShutdownAsked: "shutdown_asked",
    ConsumerUnhealthy: "worker_unhealthy",
    JobsUnclaimable: "jobs_unclaimable",
    ScheduleTicked: "schedule_ticked",
    LoopStalled: "loop_stalled",
}
"""The kinds of events that are about no single job; `AttemptsEnded` is for the house only."""

Event = (
    ServiceStarted
    | ServiceCrashed
    | ServiceStopped
    | AttemptsEnded
    | OutcomesRefused
    | NodeJoined
    | NodeRescued
    | OrphansRescued
    | NodeLost
    | ShutdownAsked
    | ConsumerUnhealthy
    | JobsUnclaimable
    | ScheduleTicked
    | LoopStalled
    | EventsDropped
    | JobEvent
)
