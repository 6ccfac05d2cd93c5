"""What becomes of a job whose node was lost: pure rules, shared by every store."""

from __future__ import annotations

from msgspec import Struct

from mainspring.errors import WorkerLost
from mainspring.model.job import Failure
from mainspring.model.retry import delay_after_crash


class Fate(Struct, frozen=True, gc=False):
    """A job's way on after a crash: it runs again after `delay` seconds, or has failed (None).

    A delay of 0 keeps the job's place in the line. `crashes` counts this one, and `failure` is the
    evidence of it.
    """

    crashes: int
    delay: float | None
    failure: Failure


def fate_of(task: str, crashes: int, evidence: str) -> Fate:
    """Return what becomes of a job that crashed, and had crashed `crashes` times before."""
    crashes += 1
    lost = WorkerLost(task, crashes, evidence)
    failure = Failure(type=f"{WorkerLost.__module__}.{WorkerLost.__qualname__}", message=str(lost))
    return Fate(crashes=crashes, delay=delay_after_crash(crashes), failure=failure)


def evidence_of(name: str, host: str, pid: int, *, dead: bool) -> str:
    """Return what is known of a node's end, for people."""
    how = "died" if dead else "stopped renewing its lease"
    return f"node {name} (process {pid} on {host}) {how}"
