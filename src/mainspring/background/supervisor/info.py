"""What a task supervisor is and does, as plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from mainspring.background.supervisor.life import Life
    from mainspring.background.supervisor.roster import NamedWorker, WorkerRoster
    from mainspring.background.supervisor.task_pools import TaskPools

STALLED_AFTER = 2.0
"""Seconds without an answer after which a loop is unwell."""


def describe(name: str, life: Life, roster: WorkerRoster, tasks: TaskPools) -> dict[str, Any]:
    """Return id, activity, pools, loops (seconds of latency), workers and task pools."""
    pools: dict[str, Any] = {"threads": asdict(life.threads.status())}
    if life.processes is not None:
        pools["processes"] = asdict(life.processes.status())
    return {
        "id": name,
        "active": life.active,
        "pools": pools,
        "loops": life.watchdog.latencies(),
        "workers": [describe_worker(worker) for worker in roster.all()],
        "task_pools": [place.describe() for place in tasks.all()],
    }


def describe_worker(worker: NamedWorker) -> dict[str, Any]:
    """Return what a worker is and has done; times in ISO 8601."""
    status = asdict(worker.status())
    status["last_run"] = _text(status["last_run"])
    status["next_run"] = _text(status["next_run"])
    return status


def diagnose(life: Life, roster: WorkerRoster, tasks: TaskPools) -> dict[str, Any]:
    """Return `healthy`, the loops that are blocked, and the workers whose last run failed.

    A task pool that takes no tasks while the supervisor is active makes it unwell, too.
    """
    stalled = [
        name for name, seconds in life.watchdog.latencies().items() if seconds > STALLED_AFTER
    ]
    failing = [one.name for one in roster.all() if one.status().failing]
    stopped = [place.pool.name for place in tasks.all() if not place.pool.running]
    return {
        "healthy": life.active and not stalled and not stopped,
        "active": life.active,
        "stalled_loops": stalled,
        "failing_workers": failing,
        "stopped_task_pools": stopped,
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
