"""The supervisor of a process pool's children: one thread that lives as long as the pool.

It starts, watches and buries them; `FreeChildren` says who asks them next. One thread starts
them all because the kernel ends a child with the thread that started it, not with the process.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import threading
from contextlib import suppress
from time import sleep
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.errors import ChildStartFailed
from mainspring.processes.call import traceback_of
from mainspring.processes.child import Child
from mainspring.processes.frame import READY
from mainspring.supervision.stop_signals import STOP_SIGNALS

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.processes.child import ChildPlan
    from mainspring.processes.free_children import FreeChildren

START_TIMEOUT = 60.0
"""Seconds a child may take to start, its initializer included."""
_LEAVE_TIMEOUT = 1.0
"""Seconds a child may take to end by itself once it was let go."""
_REPLACED_TIMEOUT = 5.0
"""Seconds that a child which is replaced has for the same, while the pool goes on: at its exit
handlers send what they hold, as traces."""
_LISTEN_TIMEOUT = 0.5
"""Seconds a caller may take to notice that its child has ended."""
_FIRST_BACKOFF = 0.1
_LONGEST_BACKOFF = 30.0
_LONGEST_SLEEP = 3_600.0
"""Most seconds between two looks: a selector refuses infinity, and more than 24 days."""
_LOOK_INTERVAL = 0.1
"""Seconds between two looks at the children where the system does not tell of their end."""


class ChildSupervisor:
    """Keeps `population()` children alive; `close`, `wake` and `dismiss` may come from any thread.

    It ends when it was closed and `idle()` is true or the grace is over, and calls `on_end` last.
    """

    def __init__(
        self,
        plan: ChildPlan,
        *,
        population: Callable[[], int],
        idle: Callable[[], bool],
        on_end: Callable[[], object],
    ) -> None:
        self.failed_starts = 0
        self.last_failure: str | None = None
        self.deaths = 0
        self._plan = plan
        self._population = population
        self._idle = idle
        self._on_end = on_end
        self._lock = threading.RLock()  # close() may come from a signal handler
        self._children: set[Child] = set()
        self._starting: set[Child] = set()
        self._silent: set[Child] = set()
        self._leaving: set[Child] = set()
        self._limits: dict[Child, tuple[float, Callable[[Child], object]]] = {}
        self._dismissed: list[Child] = []
        self._replaced_timeout = _REPLACED_TIMEOUT
        self._deadline: float | None = None
        self._backoff = 0.0
        self._next_start = 0.0
        self._gone = False
        self._announced = False

    def start(self, free_children: FreeChildren) -> None:
        """Begin, with the free children whose number is to be kept up."""
        self._free = free_children
        self._waker, self._alarm = socket.socketpair()
        self._waker.setblocking(False)  # noqa: FBT003  # the standard library's signature
        self._parent_end, self._parent_pipe = os.pipe()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._alarm, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._keep, name=self._plan.name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Have it look again."""
        with suppress(OSError):  # full, or closed: then it looks anyway, or never again
            self._waker.send(b"\0")

    def announce_stop(self) -> None:
        """Let all children know, those to come too, that the end is near; said once."""
        with self._lock:
            if self._announced or self._gone:
                return
            self._announced = True
            # Nobody reads it: it lies in the pipe that all children can look into.
            os.write(self._parent_pipe, b"!")

    def dismiss(self, child: Child) -> None:
        """Retire a child that must not be asked again."""
        with self._lock:
            if not self._gone:
                self._dismissed.append(child)
                self.wake()
                return
        child.release()

    def close(self, grace: float) -> None:
        """Ask to end when idle, or after `grace` seconds; the shortest of several holds."""
        with self._lock:
            deadline = monotonic() + grace
            self._deadline = min(self._deadline or deadline, deadline)
            self.wake()

    def join(self, timeout: float | None) -> bool:
        """Wait for the end of the thread; False if it takes longer."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def starting(self) -> int:
        """The number of children that are not ready yet."""
        return len(self._starting)

    def abandon(self) -> None:
        """Let go of the descriptors, in a process that was forked off: they are its parent's."""
        self._lock = threading.RLock()
        self._gone = True
        for child in self._children:
            child.release()
        self._close_parent_pipe()
        self._waker.close()

    def _keep(self) -> None:
        # Inherited by children, so that no stop can hit one before it leaves them to us.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            while not self._over():
                self._fill()
                self._check(self._await())
        finally:
            try:
                self._end()
            finally:
                self._on_end()

    def _over(self) -> bool:
        deadline = self._deadline
        return deadline is not None and (monotonic() >= deadline or self._idle())

    def _fill(self) -> None:
        while self._wants_more() and monotonic() >= self._next_start:
            self._start_one()

    def _wants_more(self) -> bool:
        staying = len(self._children) - len(self._leaving)
        return staying < self._population() and len(self._starting) < (os.cpu_count() or 1) + 1

    def _start_one(self) -> None:
        try:
            child = Child.start(self._plan, parent_fd=self._parent_end)
        except OSError as error:
            self._count_failure(str(error))
            return
        self._children.add(child)
        self._starting.add(child)
        self._limit(child, START_TIMEOUT, self._overdue)
        self._selector.register(child.connection, selectors.EVENT_READ, child)
        if child.exit_fd is not None:
            self._selector.register(child.exit_fd, selectors.EVENT_READ)

    def _await(self) -> list[Child]:
        """Sleep until something is to do; return the starting children that said something."""
        events = self._selector.select(self._timeout())
        if any(key.fileobj is self._alarm for key, _ in events):
            self._alarm.recv(4096)
        return [key.data for key, _ in events if key.data is not None]

    def _timeout(self) -> float | None:
        moments = [at for at, _ in self._limits.values()]
        if self._deadline is not None:
            moments.append(self._deadline)
        if self._wants_more():
            moments.append(self._next_start)
        if any(child.exit_fd is None for child in self._children):
            moments.append(monotonic() + _LOOK_INTERVAL)
        if not moments:
            return None
        return min(max(min(moments) - monotonic(), 0.0), _LONGEST_SLEEP)

    def _check(self, readable: list[Child]) -> None:
        ended = [child for child in self._children if child.reap()]
        # A child that failed to start says why, and ends: read that first.
        for child in {*readable, *self._starting.intersection(ended)}:
            self._read_first_reply(child)
        for child in ended:
            self._remove(child)
        self._retire_dismissed()
        self._act_on_limits()

    def _read_first_reply(self, child: Child) -> None:
        self._stop_listening(child)
        try:
            kind, payload = child.first_reply(_LEAVE_TIMEOUT)
        except (OSError, EOFError):
            self._silent.add(child)  # its end will say how
            self._limit(child, _LEAVE_TIMEOUT, Child.kill)
            return
        if kind == READY:
            self._mark_ready(child)
        else:
            self._give_up(child, traceback_of(payload))

    def _stop_listening(self, child: Child) -> None:
        self._starting.discard(child)
        self._selector.unregister(child.connection)

    def _mark_ready(self, child: Child) -> None:
        del self._limits[child]
        self._backoff = 0.0
        self._free.add(child)

    def _give_up(self, child: Child, why: str) -> None:
        self._retire(child, _LEAVE_TIMEOUT)
        self._count_failure(why)

    def _overdue(self, child: Child) -> None:
        child.kill()
        self._stop_listening(child)
        self._give_up(child, f"child {child.pid} was not ready within {START_TIMEOUT:g} s")

    def _count_failure(self, why: str) -> None:
        self.failed_starts += 1
        self.last_failure = why
        again, now = self._backoff > 0, monotonic()
        # Those that were started together fail together, which is one failure: a rest of 30 s
        # would follow on the first where there are many CPUs.
        if now >= self._next_start:
            self._backoff = min(max(self._backoff * 2, _FIRST_BACKOFF), _LONGEST_BACKOFF)
            self._next_start = now + self._backoff
        # One alone may have been an accident, such as a kill; it is not reported.
        if again and not self._children - self._leaving:
            self._free.refuse(lambda: ChildStartFailed(self._plan.name, why))

    def _remove(self, child: Child) -> None:
        self._children.discard(child)
        if child.exit_fd is not None:
            self._selector.unregister(child.exit_fd)
        if child in self._silent:
            self._silent.discard(child)
            self._give_up(child, child.evidence())
        if child in self._leaving:
            self._leaving.discard(child)
        else:
            self.deaths += 1
        self._limits.pop(child, None)
        if self._free.drop(child):
            child.release()
        else:
            self._limit(child, _LISTEN_TIMEOUT, Child.cut)

    def _retire_dismissed(self) -> None:
        with self._lock:
            dismissed, self._dismissed = self._dismissed, []
        for child in dismissed:
            if child in self._children:
                self._retire(child, self._replaced_timeout)
            else:
                self._limits.pop(child, None)
                child.release()

    def _retire(self, child: Child, within: float) -> None:
        self._leaving.add(child)
        self._limit(child, within, Child.kill)
        child.let_go()

    def _limit(self, child: Child, seconds: float, act: Callable[[Child], object]) -> None:
        self._limits[child] = monotonic() + seconds, act

    def _act_on_limits(self) -> None:
        now = monotonic()
        for child, (at, act) in list(self._limits.items()):
            if now >= at:
                del self._limits[child]
                act(child)

    def _end(self) -> None:
        self._replaced_timeout = _LEAVE_TIMEOUT
        for child in [*self._free.close(), *(self._leaving & self._limits.keys())]:
            self._retire(child, _LEAVE_TIMEOUT)  # also who was replaced, and had longer
        self._free.kill_busy()
        for child in list(self._starting):
            child.kill()
            self._stop_listening(child)
            self._retire(child, _LEAVE_TIMEOUT)
        self._wait_for_the_last(monotonic() + 2 * _LEAVE_TIMEOUT)
        with self._lock:
            self._gone = True
        self._retire_dismissed()
        self._close_descriptors()

    def _wait_for_the_last(self, deadline: float) -> None:
        self._population = lambda: 0  # at the end none is kept up
        self._deadline = deadline
        while (self._children or self._limits) and monotonic() < deadline:
            self._check(self._await())

    def _close_descriptors(self) -> None:
        for child in self._children:
            child.kill()
            child.release()
        if self._children:
            threading.Thread(target=_reap_all, args=(list(self._children),), daemon=True).start()
        self._selector.close()
        self._waker.close()
        self._alarm.close()
        self._close_parent_pipe()
        os.close(self._parent_end)

    def _close_parent_pipe(self) -> None:
        # Once: a fork may come after this, when its number is another file's.
        fd, self._parent_pipe = self._parent_pipe, -1
        if fd != -1:
            os.close(fd)


def _reap_all(children: list[Child]) -> None:
    """Wait for killed children that take long to die: they stay zombies until somebody does."""
    for child in children:
        while not child.reap():
            sleep(_LOOK_INTERVAL)
