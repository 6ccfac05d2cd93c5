"""Background workers as the reference pages know them: targets with hooks, started and stopped.

Each start makes a core `Worker` and gives it to the supervisor; what is here translates.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Generic, ParamSpec, TypeVar

from mainspring.background.carriage import carriage_for
from mainspring.background.options import Options
from mainspring.background.session import Session, StartArguments
from mainspring.background.target import Target, declared
from mainspring.background.task_supervisor import TaskSupervisor, task_supervisor
from mainspring.errors import AlreadyRunning, InvalidOption
from mainspring.model import events
from mainspring.supervision.trigger import Continuous
from mainspring.supervision.worker import Worker, WorkerStatus, is_async

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.protocols import Trigger

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("mainspring.supervision")


class BackgroundWorker(Generic[P, R]):
    """Runs its target again and again: `func` (or `fn`), or the method `run` of a subclass.

    A sync target has a thread of its own, an async one runs on `loop` (the name of an aloop, an
    aloop, an asyncio loop, or else the supervisor's default), a static `run` or
    `executor="process"` in the supervisor's process pool. `priority` counts in the thread pool.
    `on_error` is called once a failure with `on_error_kwargs`, and `error` and `worker` if it
    declares them. `restart` says when a failing worker rests or gives up; without it it goes on
    for ever. The target gets what it declares of `_worker`, `_name`, `_task_id` and `o`.

    Raises `UnknownOption`, `InvalidOption`; `TypeError` without a target.
    """

    kind: ClassVar[str] = "continuous"
    own_options: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, name: str | None = None, func: Callable[P, R] | None = None, **options: Any
    ) -> None:
        function = func or options.pop("fn", None)
        options.pop("fn", None)
        self.isolated = isinstance(inspect.getattr_static(type(self), "run", None), staticmethod)
        if function is not None:
            self.run = function
        if not callable(getattr(self, "run", None)):
            raise TypeError(f"worker {name!r} has no target: give func=, or define a method run")
        self._options = Options.of(name or _name_of(function), options, also=self.own_options)
        executor = self._options.executor
        if executor is not None:
            self.isolated = executor == "process"
        self.awaited = is_async(self.run)
        self.takes = declared(self.run)
        if self.awaited and (self.isolated or executor is not None):
            raise InvalidOption(
                "executor",
                executor or "process",
                owner=f"worker {self._options.name!r}",
                expected="none for an async target, which runs on a loop",
            )
        self._session: Session | None = None
        self._lock = threading.RLock()
        if function is not None:
            functools.update_wrapper(self, function)

    if TYPE_CHECKING:
        run: Callable[..., Any]
        __name__: str
        __qualname__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the target, here and now."""
        result: R = self.run(*args, **kwargs)
        return result

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        # A decorated function pickles by its name, so that a child process can import it.
        return getattr(self, "__qualname__", None) or super().__reduce__()

    @property
    def name(self) -> str:
        """Its name, for this life the one that `start` was given."""
        session = self._session
        return self._options.name if session is None else session.core.name

    @property
    def options(self) -> Options:
        """What it was made with."""
        return self._options

    @property
    def o(self) -> Any:
        """The object it is running for."""
        return self._options.o

    @property
    def priority(self) -> int:
        """Its priority in the thread pool."""
        return self._options.priority

    @property
    def poll_delay(self) -> float:
        """Accepted for the reference pages' sake; it limits neither throughput nor latency."""
        return self._options.poll_delay or self.supervisor.poll_delay

    @property
    def supervisor(self) -> TaskSupervisor:
        """Who it is started by."""
        return self._options.supervisor or task_supervisor

    def is_active(self) -> bool:
        """Whether it was started and goes on running its target."""
        session = self._session
        return session is not None and session.active

    def is_started(self) -> bool:
        """Whether it was started and has not ended."""
        session = self._session
        return session is not None and not session.over

    def is_stopped(self) -> bool:
        """Whether it has ended, or was never started."""
        return not self.is_started()

    def runs_here(self) -> bool:
        """Whether its target is what the calling thread runs."""
        session = self._session
        return session is not None and session.runs_here()

    def runs_on(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether its target is awaited on this loop."""
        session = self._session
        return session is not None and session.loop is loop

    def forget_life(self) -> None:
        """In a forked child: be stopped, for what runs is the parent's."""
        self._session = None
        self._lock = threading.RLock()

    def status(self) -> WorkerStatus:
        """Return what it is doing and has done since its last start; from any thread."""
        session = self._session
        if session is None:
            return WorkerStatus(self.name, self.kind, "stopped", 0, 0, None, None, None)
        return session.core.status()

    def start(self, *args: Any, **kwargs: Any) -> bool:
        """Start it, and its supervisor if need be; False: it is active already.

        The arguments go to the target, but for `_name`, `_priority`, `_loop`, `_interval`,
        `_delay`, `_delay_before`, which hold for this life. Raises what `before_start` or
        `after_start` raised, `DuplicateName`, `InvalidOption`, `AlreadyRunning`.
        """
        with self._lock:
            if self.is_active():
                return False
            self._wait_for_last_life()
            session = self._begin(StartArguments.of(args, kwargs))
        try:
            self.after_start()
        except BaseException:
            self.stop(wait=False)
            raise
        return session is self._session

    def stop(self, wait: float | bool = True) -> bool:  # noqa: FBT001, FBT002  the pages' signature
        """Stop it; return whether it has ended.

        `wait` for the run under way: True without end, a number so many seconds, False not at
        all. From its own target or loop it only asks.
        """
        session = self._session
        if session is None:
            return True
        self._ask(session)
        return self._wait_for_end(session, wait)

    def restart(self, *args: Any, **kwargs: Any) -> bool:
        """Stop it, wait for its end, and start it with these arguments."""
        self.stop()
        return self.start(*args, **kwargs)

    async def astart(self, *args: Any, **kwargs: Any) -> bool:
        """Start it from a coroutine."""
        return self.start(*args, **kwargs)

    async def astop(self, wait: float | bool = True) -> bool:  # noqa: FBT001, FBT002  as `stop`
        """Stop it from a coroutine, also of its own loop."""
        session = self._session
        if session is None:
            return True
        self._ask(session)
        return await self._await_end(session, wait)

    def before_start(self) -> None:
        """Do something before the start; what it raises fails the start."""

    def after_start(self) -> None:
        """Do something after the start; what it raises stops the worker again."""

    def before_stop(self) -> None:
        """Do something before it is asked to end."""

    def send_stop_events(self) -> None:
        """Wake what the target waits for."""

    def after_stop(self) -> None:
        """Do something after its end."""

    def process_result(self, result: Any) -> Any:  # noqa: ARG002  for subclasses
        """Look at what the target returned; False ends the worker."""
        return None

    def make_trigger(self, start: StartArguments) -> Trigger:  # noqa: ARG002  for other kinds
        """Return when the target runs, for one life."""
        return Continuous()

    def unpack(self, function: Callable[..., Any], *, awaited: bool) -> Callable[..., Any]:  # noqa: ARG002  for other kinds
        """Return what takes the trigger's arguments and calls, or awaits, `function`."""
        return function

    @property
    def judges(self) -> bool:
        """Whether it has a `process_result` of its own."""
        plain = BackgroundWorker.process_result
        return getattr(self.process_result, "__func__", None) is not plain

    @property
    def borrows_threads(self) -> bool:
        """Whether a sync target runs in the thread pool instead of a thread of its own."""
        return False

    def ask_end(self, session: Session) -> None:
        """Ask this life to end; more than once, maybe."""
        session.core.close()

    def note_end(self, session: Session, failure: BaseException | None) -> None:
        """Take notice that a life has ended, of itself or as asked."""
        self._ask(session)
        roster = self.supervisor.roster
        roster.forget(self)
        session.over = True
        guard(self.after_stop, self.name)
        session.finish()
        # At last, since who is told may want to start it again.
        if failure is not None:
            roster.tell(self, failure)

    def _begin(self, start: StartArguments) -> Session:
        self.before_start()
        supervisor = self.supervisor
        supervisor.start()
        options = self._options.overridden(start.overrides)
        supervisor.roster.remember(self, options.name)
        try:
            session = self._make_session(options, start)
            self._session = session
            session.member = supervisor.workers.add(session.core)
        except BaseException:
            supervisor.roster.forget(self)
            self._session = None
            raise
        session.member.ended.add_done_callback(lambda ended: self.note_end(session, ended.result()))
        return session

    def _make_session(self, options: Options, start: StartArguments) -> Session:
        trigger = self.make_trigger(start)
        own = {"_worker": self, "_name": options.name, "o": options.o}
        target = Target(self.run, start.args, start.kwargs, own, self.takes)
        carriage = carriage_for(self, target, options)
        core = Worker(
            options.name, self.run, trigger, restart=options.restart, driver=carriage.driver
        )
        core.kind = self.kind
        core.subscribe(self._report)
        return Session(core, trigger, carriage)

    def _ask(self, session: Session) -> None:
        self._announce_end(session)
        self.ask_end(session)

    def _announce_end(self, session: Session) -> None:
        if session.first_to_ask():
            guard(self.before_stop, self.name)
            guard(self.send_stop_events, self.name)

    def _wait_for_end(self, session: Session, wait: float | bool) -> bool:  # noqa: FBT001  as `stop`
        if wait is False or session.would_wait_for_itself(self.supervisor.control_loop):
            return session.finished.done()
        if session.member is not None and session.is_stranded():
            self.supervisor.workers.cancel(session.member)
        with suppress(TimeoutError):
            session.finished.result(None if wait is True else float(wait))
            return True
        log.warning("worker %r has not ended after %s s: its target still runs", self.name, wait)
        return False

    async def _await_end(self, session: Session, wait: float | bool) -> bool:  # noqa: FBT001  as `stop`
        if wait is not False:
            finished = asyncio.wrap_future(session.finished)
            await asyncio.wait([finished], timeout=None if wait is True else float(wait))
        return session.finished.done()

    def _wait_for_last_life(self) -> None:
        session = self._session
        if session is None:
            return
        if session.over:
            if session.still_runs():
                raise AlreadyRunning("target of worker", self.name)
            return
        if session.would_wait_for_itself(self.supervisor.control_loop):
            raise AlreadyRunning("worker", self.name)
        session.finished.result()

    def _report(self, event: events.Event) -> None:
        on_error = self._options.on_error
        if on_error is None or not isinstance(event, events.ServiceFailed):
            return
        takes = declared(on_error)
        also = {"error": event.error, "worker": self}
        given = {name: value for name, value in also.items() if takes.takes(name)}
        result = on_error(**{**given, **self._options.on_error_kwargs})
        if inspect.iscoroutine(result):
            self.supervisor.background_task(result)


def guard(hook: Callable[[], object], name: str) -> None:
    """Call a hook of a stop, which goes on whatever the hook raises."""
    try:
        hook()
    except Exception:
        log.exception("hook %s of worker %r raised", getattr(hook, "__name__", hook), name)


def _name_of(function: Callable[..., object] | None) -> str | None:
    return getattr(function, "__name__", None)
