"""One life of a background worker: from a start, by a stop or of itself, to the end of its hooks.

Its states, and who takes it from one to the next, are `TRANSITIONS`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from contextlib import suppress
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Protocol

from mainspring.background.workers.hooks import guarded
from mainspring.errors import AlreadyRunning
from mainspring.supervision.inside import inside, is_inside, running_loop, would_wait_for_itself
from mainspring.supervision.run_in_thread import in_own_thread, stack_of, whereabouts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.background.supervisor.running_pools import RunningPools
    from mainspring.background.workers.runner import Runner
    from mainspring.supervision.supervisor.member import Member
    from mainspring.supervision.workers.worker import Worker

log = logging.getLogger("mainspring.supervision")


LEAVE_SECONDS = 5.0
"""Longest wait for a store to learn that a worker has ended."""


class RunState(StrEnum):
    """The state of one life of a worker."""

    IDLE = "idle"  # made, and given to nobody
    STARTING = "starting"  # given to the supervisor
    RUNNING = "running"  # its driver runs, or sleeps to the next run
    STOPPING = "stopping"  # asked to end, or at its end
    DONE = "done"  # ended; the hook after the stop and the word to those who wait may follow


TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    RunState.IDLE: frozenset({RunState.STARTING}),
    RunState.STARTING: frozenset({RunState.RUNNING, RunState.STOPPING}),
    RunState.RUNNING: frozenset({RunState.STOPPING}),
    RunState.STOPPING: frozenset({RunState.DONE}),
    RunState.DONE: frozenset(),
}
"""A life goes forward only; the next start of the worker makes another one.

to STARTING: `begin`; to RUNNING: the driver; to STOPPING: who first asks it to end, or its end, and
that one calls the hooks before a stop; to DONE: its end, off the supervisor's loop if hooked.
"""


class Hooked(Protocol):
    """A worker, as its life sees it: the hooks around a stop."""

    def before_stop(self) -> None:
        """Do something before it is asked to end."""
        ...

    def send_stop_events(self) -> None:
        """Wake what the target waits for."""
        ...

    def after_stop(self) -> None:
        """Do something after its end."""
        ...

    def ask_end(self, run: WorkerRun) -> None:
        """Ask this life to end; more than once, maybe."""
        ...

    def retire(self, run: WorkerRun) -> None:
        """Be no longer among the active workers of the supervisor."""
        ...

    def report_failure(self, error: BaseException) -> None:
        """Report that it gave up, and why."""
        ...


class WorkerRun:
    """A core worker, where it runs, and what follows its end. It is a service.

    `hooked` says whether hooks of its stop are the user's: these are called in a thread of their
    own, since they must not hold the supervisor's loop up, and may wait for what that does.
    """

    def __init__(
        self, worker: Hooked, core: Worker, runner: Runner, pools: RunningPools, *, hooked: bool
    ) -> None:
        self.name = core.name
        self.core = core
        self.trigger = core.trigger
        self.state = RunState.IDLE
        self.member: Member | None = None
        self.finished: Future[None] = Future()
        """Done when the hooks have been called, too."""
        # As one that runs it can't be cancelled by somebody who no longer waits for it.
        self.finished.set_running_or_notify_cancel()
        self.subscribe = core.subscribe
        self.runner = runner
        self._worker = worker
        self._pools = pools
        self._hooked = hooked
        self._hooks_thread: threading.Thread | None = None
        self._taken: set[str] = set()  # the steps of the end
        # Reentrant, since a signal handler may stop it while its own thread is in here.
        self._lock = threading.RLock()
        core.owners = (self, pools)

    @property
    def active(self) -> bool:
        """True if it goes on running its target."""
        return self.state in (RunState.STARTING, RunState.RUNNING) and not self.core.ending

    @property
    def over(self) -> bool:
        """True if it has ended, but for the hooks that follow."""
        return self.state is RunState.DONE

    def advance(self, state: RunState) -> bool:
        """Go on to a state; False: it may not, or somebody else was faster."""
        with self._lock:
            allowed = state in TRANSITIONS[self.state]
            if allowed:
                self.state = state
        return allowed

    def begin(self) -> None:
        """Hand it to the supervisor. Raises `NotRunning` if that accepts none."""
        self.advance(RunState.STARTING)
        self.member = self._pools.workers.launch(self)
        self.member.ended.add_done_callback(self._end_at_last)

    async def run(self, started: Callable[[], None]) -> None:
        """Run the worker, and see to what follows its end."""

        def begun() -> None:
            self.advance(RunState.RUNNING)
            started()

        try:
            await self.core.run(begun)
        finally:
            if self.core.ending:
                await self._leave_gate()
                await self._end()

    async def _leave_gate(self) -> None:
        """Let others in, and wait until they can come: the process may end with this.

        A run that was left behind in its thread does so at its own end.
        """
        gate = self.core.gate
        freed = gate.leave() if gate is not None and self.core.runner is None else None
        if freed is not None:
            await asyncio.wait([asyncio.wrap_future(freed)], timeout=LEAVE_SECONDS)

    def close(self) -> None:
        """Let no further run begin; from any thread."""
        self.core.close()

    def ask(self) -> None:
        """Ask it to end; the first who asks calls the hooks before a stop."""
        try:
            self.announce_end()
        finally:
            self._worker.ask_end(self)

    def announce_end(self) -> None:
        """Call the hooks before a stop, once a life."""
        if self.advance(RunState.STOPPING):
            with inside(self, self._pools):
                guarded(self._worker.before_stop, self.name)
                guarded(self._worker.send_stop_events, self.name)

    def wait(self, wait: float | bool) -> bool:  # noqa: FBT001  as `stop`
        """Wait as `stop` says, unless that would keep it from its end; return whether it ended."""
        if wait is False or self.would_wait_for_itself():
            return self.finished.done()
        if self.member is not None and self.runner.is_stranded():
            self._pools.workers.cancel(self.member)
        with suppress(TimeoutError):
            self.finished.result(None if wait is True else float(wait))
            return True
        self._log_stuck(wait)
        return False

    async def await_end(self, wait: float | bool) -> bool:  # noqa: FBT001  as `stop`
        """Wait for its end as `stop` says, but in code of its own; return whether it has ended."""
        if wait is not False and not is_inside(self):
            finished = asyncio.wrap_future(self.finished)
            done, _ = await asyncio.wait([finished], timeout=None if wait is True else float(wait))
            if not done:
                self._log_stuck(wait)
        return self.finished.done()

    def make_way(self) -> None:
        """Wait until another life may begin; raises `AlreadyRunning` where that would never be."""
        if not self.over:
            self.refuse_to_wait_for_itself()
        elif self._still_runs():
            raise AlreadyRunning("target of worker", self.name)
        elif self.would_wait_for_itself():
            return
        self.finished.result()

    def refuse_to_wait_for_itself(self) -> None:
        """Raise `AlreadyRunning` where to wait for its end would keep that from coming."""
        if not self.over and self.would_wait_for_itself():
            raise AlreadyRunning("worker", self.name)

    def would_wait_for_itself(self) -> bool:
        """Return whether to wait here for its end would keep that from happening."""
        return would_wait_for_itself((self,), (self.runner.loop, self._pools.control_loop))

    def is_here(self) -> bool:
        """Return whether the caller is a run of the target, and not what that has started."""
        if (task := self.runner.task) is not None:
            return running_loop() is not None and asyncio.current_task() is task
        return self.core.runner == threading.get_ident()

    async def _end(self) -> None:
        """Run the steps of the end: those that call the user's code off the loop."""
        failure = self.core.failure
        if self._hooked:
            await self._off_loop(self._leave)
        if failure is None and not self._hooked:
            return
        self._leave()
        self._finish()
        if failure is not None:
            await self._off_loop(partial(self._report, failure))

    def _end_at_last(self, ended: Future[BaseException | None]) -> None:
        """Run, on the loop, the steps that have not been run."""
        self._leave()
        self._finish()
        failure = ended.result()
        if failure is not None:
            self._report(failure)

    def _leave(self) -> None:
        if self._first_to("leave"):
            self.ask()
            self._worker.retire(self)
            self.advance(RunState.DONE)
            guarded(self._worker.after_stop, self.name)

    def _finish(self) -> None:
        if self._first_to("finish"):
            self.finished.set_result(None)

    def _report(self, failure: BaseException) -> None:
        if self._first_to("report"):
            guarded(partial(self._worker.report_failure, failure), self.name)

    def _first_to(self, step: str) -> bool:
        with self._lock:
            first = step not in self._taken
            self._taken.add(step)
        return first

    async def _off_loop(self, step: Callable[[], object]) -> None:
        try:
            await in_own_thread(partial(self._call_hooks, step), name=f"{self.name}_end")
        except RuntimeError:
            # No thread is to be had, as after the end of the main thread: the loop does without.
            log.debug("the end of worker %r gets no thread of its own", self.name)

    def _call_hooks(self, step: Callable[[], object]) -> None:
        self._hooks_thread = threading.current_thread()
        with inside(self, self._pools):
            guarded(step, self.name)
        self._hooks_thread = None

    def _log_stuck(self, wait: float) -> None:
        where = self._whereabouts()
        log.warning("worker %r has not ended after %s s, and is at:\n%s", self.name, wait, where)

    def _whereabouts(self) -> str:
        """Return where its run is just now, as text; empty if none is under way."""
        thread = self._hooks_thread or _thread(self.core.runner)
        if thread is not None:
            return stack_of(thread)
        task = self.runner.task
        return "" if task is None else whereabouts_of(task)

    def _still_runs(self) -> bool:
        """Return whether a run was left behind, stuck in the target, when this life ended."""
        return _thread(self.core.runner) is not None


def _thread(ident: int | None) -> threading.Thread | None:
    if ident is None:  # as of a thread that is about to begin
        return None
    return next((one for one in threading.enumerate() if one.ident == ident), None)
