"""What becomes of a job whose node was lost: pure rules, shared by every store."""

from __future__ import annotations

from msgspec import Struct

from mainspring.errors import WorkerLost
from mainspring.model.job import Failure
from mainspring.model.retry import delay_after_crash

CRASHED = "crashed"
"""What a history calls an attempt whose worker was lost while its body ran."""

RELEASED = "released"
"""What a history calls a claim that went back before its body began."""


class Fate(Struct, frozen=True, gc=False):
    """A lost job's way on: it runs again after `delay` seconds, or has failed (None).

    A delay of 0 keeps the job's place in the line. `failure` is the evidence of a crash, None when
    the body had not begun.
    """

    crashes: int
    delay: float | None
    failure: Failure | None


def fate_of(task: str, crashes: int, *, begun: bool, evidence: str) -> Fate:
    """Return what becomes of a job that had crashed `crashes` times before its node was lost."""
    if not begun:
        return Fate(crashes=crashes, delay=0.0, failure=None)
    crashes += 1
    lost = WorkerLost(task, crashes, evidence)
    failure = Failure(type=f"{WorkerLost.__module__}.{WorkerLost.__qualname__}", message=str(lost))
    return Fate(crashes=crashes, delay=delay_after_crash(crashes), failure=failure)


def evidence_of(name: str, host: str, pid: int, *, dead: bool) -> str:
    """Return what is known of a node's end, for people."""
    how = "died" if dead else "stopped renewing its lease"
    return f"node {name} (process {pid} on {host}) {how}"
