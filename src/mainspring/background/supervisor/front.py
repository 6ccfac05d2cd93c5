"""`TaskSupervisor`: workers, jobs, loops and pools of one program part, under one roof.

A front door: most of what is here delegates to its `RunningPools`, loops, jobs and rosters.
"""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any, Self

from mainspring.background.supervisor.info import Info, describe, describe_loops, diagnose
from mainspring.background.supervisor.loops import SupervisorLoops
from mainspring.background.supervisor.running_pools import RunningPools
from mainspring.background.supervisor.signals import SignalWait
from mainspring.errors import InvalidOption
from mainspring.model.number import is_number
from mainspring.supervision.event_bus import EventBus
from mainspring.supervision.forked import reset_in_child
from mainspring.supervision.run_in_thread import in_own_thread

if TYPE_CHECKING:
    from mainspring.background.aloop import ALoop
    from mainspring.background.supervisor.task_pools import TaskPool
    from mainspring.background.supervisor.workers import NamedWorker
    from mainspring.protocols import Subscriber


class TaskSupervisor(SupervisorLoops):
    """Starts, watches and stops background workers, jobs, loops and pools.

    `id`, or `supervisor_id`, is for the log; `sizes` are those of `set_thread_pool`. `grace` is
    the seconds that a stop gives to what runs. It can be started again after a stop. All methods
    may be called from any thread. Raises `InvalidOption`.
    """

    def __init__(
        self,
        id: str | None = None,  # noqa: A002  the pages' name
        *,
        grace: float = 25.0,
        supervisor_id: str | None = None,
        **sizes: Any,
    ) -> None:
        self.id = id or supervisor_id or str(uuid.uuid4())
        if not (is_number(grace) and grace >= 0):
            owner, expected = f"supervisor {self.id!r}", "seconds, 0 or more"
            raise InvalidOption("grace", grace, owner=owner, expected=expected)
        self.grace = grace
        self._poll_delay = 0.01
        self._bus = EventBus()
        self._signal_wait = SignalWait(self.id)
        super().__init__(self.id)
        if sizes:
            self.set_thread_pool(**sizes)
        self.reset_after_fork()
        reset_in_child(self)

    def reset_after_fork(self) -> None:
        """Have a life that has not begun; in a forked child, since the parent's is not its own."""
        self._life_lock = threading.RLock()  # never held by what a life's own threads call
        self._running = self._new_pools()

    def __repr__(self) -> str:
        return f"<TaskSupervisor {self.id!r}>"

    @property
    def active(self) -> bool:
        """True if it is started and not about to stop."""
        return self._running.active

    def start(self, daemon: bool | None = None) -> bool:  # noqa: ARG002, FBT001  the pages' signature
        """Start it; False: it was started already. It ends with the main thread.

        So `daemon` has no effect. Waits for a stop under way; False, too, from what that stop
        waits for. Raises `AlreadyRunning` on a loop of the user's own that it waits for, and what
        a process pool that was set does not accept.
        """
        running = self._running
        if running.active or (running.over and self._shutdown.awaits_caller(running)):
            return False
        with self._life_lock:
            if self._running.active:
                return False
            if self._running.over:
                self._shutdown.wait_for(self._running)
                self._running = self._new_pools()
            self._running.begin(self.grace)
            self.threads.resize(self._settings.sizes)
            self._loops.start_again(self._running.loops)
            try:
                self._settings.start_processes(self._running)
            except BaseException:
                # Or it would be half started, and the next start would not try again.
                self._running.core.close(0.0)
                raise
        for scheduler in self._jobs.to_start_again():
            self.start_job_scheduler(scheduler)
        self._task_pools.start(self._running)
        return True

    def stop(
        self,
        wait: float | bool = True,  # noqa: FBT001, FBT002  the pages' signature
        stop_schedulers: bool = True,  # noqa: FBT001, FBT002  the pages' signature
        cancel_tasks: bool = False,  # noqa: FBT001, FBT002  the pages' signature
    ) -> bool:
        """Stop workers, jobs, task pools, loops and pools in turn; return whether all have ended.

        `wait`: True gives its grace to what runs, a number so many seconds, False returns at once.
        After that what runs is cancelled; a thread that is stuck is named in the log and left.
        `stop_schedulers=False` calls no `stop` of workers and schedulers, they just end.
        `cancel_tasks` cancels coroutines and what waits for a thread at once. From one of its own
        loops or targets, or a worker's loop, it only asks.
        """
        core = self._running.core
        if not core.running:
            return core.join(core.time_left())
        self._shutdown.announce(self._running)
        if stop_schedulers:
            self._shutdown.ask_all(self._running)
        self._shutdown.leave(self._running)
        self._tasks.cancel_delayed()
        if cancel_tasks:
            self._shutdown.cancel_all(self._running)
        # First, so that whoever sees it stop can't start a worker any more.
        self._running.workers.close()
        core.close(core.grace if isinstance(wait, bool) else float(wait))
        self._signal_wait.release()
        self.workers.drop_failed()
        if wait is False or self._shutdown.would_wait_for_itself(self._running):
            return not core.running
        return core.join(core.time_left())

    def block(self) -> None:
        """Wait until it stops. In the main thread, signals stop it.

        They are SIGTERM, SIGINT, SIGHUP and SIGQUIT; a second one raises KeyboardInterrupt.
        """
        self.start()
        with SignalWait(self.id) as self._signal_wait:
            self._signal_wait.hold(lambda: self.active)
            self.stop()

    async def astart(self) -> bool:
        """Start it from a coroutine."""
        return self.start()

    async def astop(self, wait: float | bool = True) -> bool:  # noqa: FBT001, FBT002  as `stop`
        """Stop it from a coroutine, without blocking its loop; from its own it only asks."""
        if self._shutdown.awaits_caller(self._running):
            return self.stop(wait)
        await in_own_thread(lambda: self.stop(wait), name=f"{self.id}_stop")
        return not self.active

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is KeyboardInterrupt and not self.active:  # it stops, and somebody won't wait
            self.stop(wait=0, cancel_tasks=True)
        else:
            self.stop()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.astop()

    @property
    def poll_delay(self) -> float:
        """The longest time between two looks of a stop at its deadline; it limits nothing else."""
        return self._poll_delay

    @poll_delay.setter
    def poll_delay(self, seconds: float) -> None:
        if not seconds > 0:
            raise InvalidOption("poll_delay", seconds, owner=self.id, expected="seconds > 0")
        self._poll_delay = seconds

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with events of workers, loops and pools, values of `model.events`."""
        self._bus.subscribe(subscriber)

    def on_worker_failed(self, worker: NamedWorker, error: BaseException) -> None:
        """Be told that a worker gave up by its restart policy; for subclasses, or to be set."""

    def get_info(
        self,
        tt: str | bool | None = None,  # noqa: FBT001  the pages' signature
        *,
        aloops: bool = True,
        schedulers: bool = True,
        async_job_schedulers: bool = True,
    ) -> Info:
        """Return what it is and does, by key and by attribute; it serialises to JSON.

        `tt`: tasks of one type alone, False for none.
        """
        tasks = [] if tt is False else list(self.get_tasks(None if tt is True else tt).values())
        info = describe(self.id, self._running, self.workers, self._task_pools, tasks)
        if aloops:
            info["aloops"] = describe_loops(self.get_aloops())
        if schedulers:
            info["schedulers"] = list(self.get_schedulers())
        if async_job_schedulers:
            info["async_job_schedulers"] = self._jobs.describe()
        return info

    def health(self) -> dict[str, Any]:
        """Return whether it is well, and what is not, for probes."""
        return diagnose(self._running, self.workers, self._task_pools)

    def add_pool(self, pool: TaskPool, loop: ALoop | str | None = None) -> None:
        """Run a task pool on an aloop (None: the default) whenever it is started itself.

        Raises `AlreadyRunning`, `DuplicateName`, `InvalidOption`.
        """
        self._task_pools.add(pool, loop, self._running)

    def remove_pool(self, pool: TaskPool) -> bool:
        """Stop a task pool and forget it; return whether it was known."""
        return self._task_pools.drop(pool)

    def _new_pools(self) -> RunningPools:
        return RunningPools(
            self.id,
            sizes=self._settings.sizes,
            loops=self._loops.threads,
            publish=self._bus.publish,
            on_end=self._tasks.cancel_delayed,
        )


task_supervisor = TaskSupervisor("supervisor")
"""The supervisor of those who name none; it is started when first needed."""

spawn = task_supervisor.spawn
"""`spawn` of that supervisor."""

spawn_ajob = task_supervisor.create_async_job
"""`create_async_job` of that supervisor."""
