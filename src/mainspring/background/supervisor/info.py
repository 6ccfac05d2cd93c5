"""The state of a task supervisor, as plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from mainspring.background.supervisor.running_pools import RunningPools
    from mainspring.background.supervisor.task_pools import TaskPools
    from mainspring.background.supervisor.workers import NamedWorker, Workers

STALLED_AFTER = 2.0
"""Seconds without an answer after which a loop is unwell."""


def describe(
    name: str, running: RunningPools, workers: Workers, tasks: TaskPools
) -> dict[str, Any]:
    """Return id, activity, pools, loops (seconds of latency), workers and task pools."""
    pools: dict[str, Any] = {"threads": asdict(running.threads.status())}
    if running.processes is not None:
        pools["processes"] = asdict(running.processes.status())
    return {
        "id": name,
        "active": running.active,
        "pools": pools,
        "loops": running.watchdog.latencies(),
        "workers": [describe_worker(worker) for worker in workers.all()],
        "task_pools": [place.describe() for place in tasks.all()],
    }


def describe_worker(worker: NamedWorker) -> dict[str, Any]:
    """Return what a worker is and has done; times in ISO 8601."""
    status = asdict(worker.status())
    status["last_run"] = _text(status["last_run"])
    status["next_run"] = _text(status["next_run"])
    return status


def diagnose(running: RunningPools, workers: Workers, tasks: TaskPools) -> dict[str, Any]:
    """Return `healthy`, and what is not: for probes.

    Unwell make a blocked loop, a worker that failed for good (it gave up, or lost its event loop)
    or whose run hangs, and a task pool that takes no tasks while the supervisor is active. A worker
    whose last run raised goes on, and is named only.
    """
    stalled = [
        name for name, seconds in running.watchdog.latencies().items() if seconds > STALLED_AFTER
    ]
    failed = [worker.name for worker in workers.failed()]
    active = [worker.status() for worker in workers.active()]
    hanging = [status.name for status in active if status.hanging]
    stopped = [place.pool.name for place in tasks.all() if not place.pool.running]
    return {
        "healthy": running.active and not (stalled or failed or hanging or stopped),
        "active": running.active,
        "stalled_loops": stalled,
        "failed_workers": failed,
        "hanging_workers": hanging,
        "failing_workers": [status.name for status in active if status.failing],
        "stopped_task_pools": stopped,
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
