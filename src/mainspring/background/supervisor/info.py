"""The state of a task supervisor, as plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mainspring.background.task import TT_MP, TT_THREAD

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mainspring.background.aloop import ALoop
    from mainspring.background.supervisor.running_pools import RunningPools
    from mainspring.background.supervisor.task_pools import TaskPools
    from mainspring.background.supervisor.workers import NamedWorker, Workers
    from mainspring.background.task import BackgroundTask

STALLED_AFTER = 2.0
"""Seconds without an answer after which a loop is unwell."""


class Info(dict[str, Any]):
    """Plain values that can be read by key and by attribute; it serialises to JSON."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no {name!r} among {', '.join(self)}") from None


def describe(
    name: str,
    running: RunningPools,
    workers: Workers,
    pools: TaskPools,
    tasks: list[BackgroundTask[Any]],
) -> Info:
    """Return id, activity, pools, loops (seconds of latency), workers, tasks and task pools."""
    threads = running.threads.status()
    sizes: dict[str, Any] = {"threads": Info(asdict(threads))}
    processes = running.processes
    if processes is not None:
        sizes["processes"] = Info(asdict(processes.status()))
    begun = [task for task in tasks if task.is_started()]
    in_threads = [task.id for task in begun if task.tt == TT_THREAD]
    in_processes = [task.id for task in begun if task.tt == TT_MP]
    return Info(
        id=name,
        active=running.active,
        started=running.active,
        pools=Info(sizes),
        loops=Info(running.watchdog.latencies()),
        workers=[describe_worker(worker) for worker in workers.all()],
        tasks=Info({task.id: describe_task(task) for task in tasks}),
        task_pools=[Info(entry.describe()) for entry in pools.all()],
        thread_pool_size=threads.size,
        thread_reserve_normal=threads.reserve_normal,
        thread_reserve_high=threads.reserve_high,
        thread_tasks=in_threads,
        thread_tasks_count=len(in_threads),
        mp_tasks=in_processes,
        mp_tasks_count=len(in_processes),
    )


def describe_task(task: BackgroundTask[Any]) -> Info:
    """Return what a task is; times in seconds since 1970."""
    return Info(
        id=task.id,
        name=task.name,
        tt=task.tt,
        status=str(task.status),
        priority=task.priority,
        time_queued=task.time_queued,
        time_started=task.time_started,
    )


def describe_loops(loops: Mapping[str, ALoop]) -> Info:
    """Return whether each loop takes coroutines, by name."""
    return Info({name: Info(name=name, active=loop.active) for name, loop in loops.items()})


def describe_worker(worker: NamedWorker) -> Info:
    """Return what a worker is and has done; times in ISO 8601."""
    status = asdict(worker.status())
    status["last_run"] = _text(status["last_run"])
    status["next_run"] = _text(status["next_run"])
    return Info(status)


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
