"""What a task supervisor is and does, as plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from mainspring.background.life import Life
    from mainspring.background.roster import NamedWorker, WorkerRoster

STALLED_AFTER = 2.0
"""Seconds without an answer after which a loop is unwell."""


def describe(name: str, life: Life, roster: WorkerRoster) -> dict[str, Any]:
    """Return id, activity, pools, loops (seconds of latency) and workers."""
    pools: dict[str, Any] = {"threads": asdict(life.threads.status())}
    if life.processes is not None:
        pools["processes"] = asdict(life.processes.status())
    return {
        "id": name,
        "active": life.active,
        "pools": pools,
        "loops": life.watchdog.latencies(),
        "workers": [describe_worker(worker) for worker in roster.all()],
    }


def describe_worker(worker: NamedWorker) -> dict[str, Any]:
    """Return what a worker is and has done; times in ISO 8601."""
    status = asdict(worker.status())
    status["last_run"] = _text(status["last_run"])
    status["next_run"] = _text(status["next_run"])
    return status


def diagnose(life: Life, roster: WorkerRoster) -> dict[str, Any]:
    """Return `healthy`, the loops that are blocked, and the workers whose last run failed."""
    stalled = [
        name for name, seconds in life.watchdog.latencies().items() if seconds > STALLED_AFTER
    ]
    failing = [one.name for one in roster.all() if one.status().failing]
    return {
        "healthy": life.active and not stalled,
        "active": life.active,
        "stalled_loops": stalled,
        "failing_workers": failing,
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
