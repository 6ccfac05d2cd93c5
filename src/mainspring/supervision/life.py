"""What a task supervisor has for one life, from a start to the stop that follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.supervision.group import Group
from mainspring.supervision.supervisor import Supervisor
from mainspring.supervision.thread_pool import PriorityThreadPool
from mainspring.supervision.trigger import Interval
from mainspring.supervision.watchdog import LOOK, Watchdog
from mainspring.supervision.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mainspring.protocols import Service, Subscriber
    from mainspring.supervision.event_loop import EventLoopThread
    from mainspring.supervision.priority import PoolSizes
    from mainspring.supervision.process_pool import ProcessPool


class Life:
    """Groups of pools, loops, jobs and workers, in the order in which they start."""

    def __init__(
        self,
        name: str,
        *,
        grace: float,
        sizes: PoolSizes,
        loops: Callable[[], Iterable[EventLoopThread]],
        tell: Subscriber,
    ) -> None:
        self.pools = Group("pools")
        self.loops = Group("loops")
        self.jobs = Group("jobs")
        self.workers = Group("workers")
        self.threads = PriorityThreadPool(sizes, name=f"{name}_thread")
        self.processes: ProcessPool | None = None
        self.watchdog = Watchdog(loops, tell=tell)
        watchdog = Worker("watchdog", self.watchdog.look, Interval(LOOK))
        groups = (self.pools, self.loops, self.jobs, self.workers)
        for group in groups:
            group.subscribe(tell)
        services: list[Service] = [*groups, watchdog]
        self.core = Supervisor(services, name=name, grace=grace)

    @property
    def active(self) -> bool:
        """Whether it runs and was not asked to end."""
        return self.core.running and not self.core.closing

    @property
    def over(self) -> bool:
        """Whether it was asked to end, or has ended."""
        return self.core.closing

    def begin(self) -> None:
        """Start everything."""
        self.core.start()
        self.pools.add(self.threads)
