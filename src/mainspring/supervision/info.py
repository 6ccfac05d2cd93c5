"""What a task supervisor is and does, as plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from mainspring.supervision.background import BackgroundWorker
    from mainspring.supervision.task_supervisor import TaskSupervisor

STALLED_AFTER = 2.0
"""Seconds without an answer after which a loop is unwell."""


def describe(supervisor: TaskSupervisor) -> dict[str, Any]:
    """Return id, activity, pools, loops (seconds of latency) and workers."""
    pools: dict[str, Any] = {"threads": asdict(supervisor.threads.status())}
    if supervisor.has_mp_pool:
        pools["processes"] = asdict(supervisor.mp_pool.status())
    return {
        "id": supervisor.id,
        "active": supervisor.active,
        "pools": pools,
        "loops": supervisor.watchdog.latencies(),
        "workers": [describe_worker(worker) for worker in supervisor.roster.all()],
    }


def describe_worker(worker: BackgroundWorker[Any, Any]) -> dict[str, Any]:
    """Return what a worker is and has done; times in ISO 8601."""
    status = asdict(worker.status())
    status["last_run"] = _text(status["last_run"])
    status["next_run"] = _text(status["next_run"])
    return status


def diagnose(supervisor: TaskSupervisor) -> dict[str, Any]:
    """Return `healthy`, the loops that are blocked, and the workers whose last run failed."""
    stalled = [
        name for name, seconds in supervisor.watchdog.latencies().items() if seconds > STALLED_AFTER
    ]
    failing = [one.name for one in supervisor.roster.all() if one.status().failing]
    return {
        "healthy": supervisor.active and not stalled,
        "active": supervisor.active,
        "stalled_loops": stalled,
        "failing_workers": failing,
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
