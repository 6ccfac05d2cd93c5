"""Decisions on the jobs of a lost node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from mainspring.model.crash import CrashDecision, decide_crash

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from mainspring.model.job import Grant


class HeldJob(Protocol):
    """A job that a node holds, as far as its rescue needs to know it."""

    @property
    def key(self) -> int:
        """The store's own number of it."""
        ...

    @property
    def fence(self) -> int:
        """The fence of the node's claim."""
        ...

    @property
    def crashes(self) -> int:
        """The number of its crashes so far."""
        ...

    @property
    def task(self) -> str:
        """The name of its task."""
        ...


Held = TypeVar("Held", bound=HeldJob)


UNKNOWN_NODE = "unknown"
"""The name under which histories show the node of an orphan."""

ORPHANED = "its row names a node that is not there"


def evidence_of(name: str, host: str, pid: int, *, dead: bool) -> str:
    """Return what is known of a node's end, for people."""
    how = "died" if dead else "stopped renewing its lease"
    return f"node {name} (process {pid} on {host}) {how}"


def decide_crashes(
    held: Iterable[Held], begun: Collection[Grant] | None, evidence: str
) -> list[tuple[Held, CrashDecision | None]]:
    """Return each job of a lost node with the decision on its crash; None: its body had not begun.

    `begun` holds (key, fence) of each body that had begun; None: not known, and all are charged.
    """
    return [
        (job, decide_crash(job.task, job.crashes, evidence) if _charged(job, begun) else None)
        for job in held
    ]


def _charged(job: HeldJob, begun: Collection[Grant] | None) -> bool:
    return begun is None or (job.key, job.fence) in begun
