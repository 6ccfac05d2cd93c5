"""Background workers as the reference pages know them: targets with hooks, started and stopped.

Each start makes a core `Worker` and gives it to the supervisor; what is here translates.
"""

from __future__ import annotations

import functools
import threading
from types import MethodType
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from mainspring.background.workers.generics import P, R
from mainspring.background.workers.hooks import (
    OF_THE_END,
    call_error,
    call_on_error,
    error_at_hand,
    is_own,
)
from mainspring.background.workers.options import Options, StartArguments, function_of
from mainspring.background.workers.runner import runner_for
from mainspring.background.workers.settings import Settings
from mainspring.background.workers.singleton import SingletonGate
from mainspring.background.workers.target import Target, once
from mainspring.background.workers.worker_run import WorkerRun
from mainspring.supervision.triggers.continuous import Continuous
from mainspring.supervision.workers.status import WorkerStatus
from mainspring.supervision.workers.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.background.supervisor.running_pools import RunningPools
    from mainspring.protocols import Trigger


class BackgroundWorker(Settings, Generic[P, R]):
    """Runs its target again and again: `func` (`fn`, `executor_func`), or a subclass's `run`.

    A sync target has a thread of its own, an async one runs on `loop` (the name of an aloop, an
    aloop, an asyncio loop, or else the supervisor's default), a static `run` or
    `executor="process"` in the supervisor's process pool, and one with `pool=` in that executor.
    `priority` counts in the thread pool. `on_error` is called once a failure with
    `on_error_kwargs`, and `error` and `worker` if it declares them. `restart` says when a failing
    worker rests or gives up; without it it goes on for ever. `singleton` is a queue: of all
    processes that started a worker of this name on its store, one at a time runs it. The target
    gets what it declares of `_worker`, `_name`, `_task_id` and `o`. A subclass may have a `loop` of
    its own instead, which runs once a life, and an `error` in the place of `on_error`.

    A target may also be set later, as `run`. Raises `UnknownOption`, `InvalidOption`.
    """

    kind: ClassVar[str] = "continuous"
    borrows_threads: ClassVar[bool] = False
    """True if a sync target runs in the thread pool instead of a thread of its own."""

    def __init__(
        self, name: str | None = None, func: Callable[P, R] | None = None, **options: Any
    ) -> None:
        self._worker_run: WorkerRun | None = None
        self.__lock = threading.RLock()
        self.__attribute: str | None = None  # of the class, if it is a method of that
        self.__owner: tuple[object, str] | None = None  # whose method it is, and its name there
        self.lease_lost = threading.Event()
        """Set while a run goes on whose singleton lock was lost: it must come to its end."""
        self.__starting = False  # so that `before_start` begins no second life
        self.remake: Callable[[object], Any] | None = None
        """Make one like it of a method's function, for an instance; set by the decorator."""
        function = function_of(func, options, f"worker {name!r}")
        derived = None if name else _name_of(function)
        self._worker_options = Options.of(name, options, derived=derived, also=self.own_options)
        if function is not None:
            self.run = function
            functools.update_wrapper(self, function, updated=())
            for own, value in getattr(function, "__dict__", {}).items():
                self.__dict__.setdefault(own, value)  # ours are not given up for its own
        elif hasattr(self, "run"):
            self._take_target(self.run)

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

    def __set_name__(self, owner: type, name: str) -> None:
        # A method that was decorated, and not a worker of something else kept in a class.
        written = name.removeprefix(f"_{owner.__name__.lstrip('_')}")  # a private one has both
        names = [f"{owner.__qualname__}.{one}" for one in (name, written)]
        self.__attribute = name if self.__dict__.get("__qualname__") in names else None

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Return the worker of a method for its instance, which has one of its own."""
        if instance is owner:
            return MethodType(self, instance)  # as of Python 3.13: a classmethod around it
        if instance is None or self.__attribute is None or self.remake is None:
            return self
        made = self.remake(instance)
        made.__owner = (instance, self.__attribute)  # noqa: SLF001  one of ours
        # From now on it is found there first.
        return vars(instance).setdefault(self.__attribute, made)

    def __reduce__(self) -> str | tuple[Any, ...]:
        # A method's is made anew with its instance, which has it among its attributes.
        if self.__owner is not None:
            return getattr, self.__owner
        # A decorated function pickles by its name, so that a child process can import it.
        return getattr(self, "__qualname__", None) or super().__reduce__()

    def is_active(self) -> bool:
        """Return whether it was started and goes on running its target."""
        run = self._worker_run
        return run is not None and run.active

    @property
    def start_stop_lock(self) -> threading.RLock:
        """The lock that its start holds: who holds it meanwhile puts a start off. No stop waits."""
        return self.__lock

    def wait_until_stop(self) -> None:
        """Wait until it has ended; from its own target or loop it returns at once."""
        run = self._worker_run
        if run is not None:
            run.wait(wait=True)

    def reset_after_fork(self) -> None:
        """In a forked child: be stopped, for what runs is the parent's."""
        self._worker_run = None
        self.__lock = threading.RLock()

    def status(self) -> WorkerStatus:
        """Return what it is doing and has done since its last start; from any thread."""
        run = self._worker_run
        if run is None:
            return WorkerStatus(self.name, self.kind, "stopped", 0, 0, None, None, None)
        return run.core.status()

    @property
    def fence(self) -> int | None:
        """The fence of its singleton lock: above that of every earlier holder; None without one."""
        gate = None if self._worker_run is None else self._worker_run.core.gate
        return gate.fence if isinstance(gate, SingletonGate) else None

    def start(self, *args: Any, **kwargs: Any) -> bool:
        """Start it, and its supervisor if need be; False: it is active already.

        The arguments go to the target, but for `_name`, `_priority`, `_loop`, `_interval`,
        `_delay`, `_delay_before`, which hold for this life. Raises what `before_start` or
        `after_start` raised, `DuplicateName`, `InvalidOption`, `AlreadyRunning`; without a target
        `TypeError`.
        """
        # Before the lock too: who holds it may wait for the run that calls this.
        last = self._worker_run
        if last is not None and not last.active:
            last.refuse_to_wait_for_itself()
        with self.__lock:
            if self.is_active() or self.__starting:
                return False
            if self._worker_run is not None:
                self._worker_run.make_way()
            self.__starting = True
            try:
                run = self.__begin(StartArguments.of(args, kwargs))
            finally:
                self.__starting = False
        try:
            self.after_start()
        except BaseException:
            self.stop(wait=False)
            raise
        return run is self._worker_run

    def stop(self, wait: float | bool = True) -> bool:  # noqa: FBT001, FBT002  the pages' signature
        """Stop it; return whether it has ended.

        `wait` for the run under way: True without end, a number so many seconds, False not at
        all. From its own target or loop it only asks.
        """
        run = self._worker_run
        if run is None:
            return True
        run.ask()
        ended = run.wait(wait)
        if ended:
            self.supervisor.workers.drop(self)
        return ended

    def restart(self, *args: Any, **kwargs: Any) -> bool:
        """Stop it, wait for its end, and start it with these arguments.

        Raises as `start` does; `AlreadyRunning` from its own target or loop, before it is stopped.
        """
        run = self._worker_run
        if run is not None:
            run.refuse_to_wait_for_itself()
        self.stop()
        return self.start(*args, **kwargs)

    async def astart(self, *args: Any, **kwargs: Any) -> bool:
        """Start it from a coroutine."""
        return self.start(*args, **kwargs)

    async def astop(self, wait: float | bool = True) -> bool:  # noqa: FBT001, FBT002  as `stop`
        """Stop it from a coroutine, also of its own loop; from its own target it only asks."""
        run = self._worker_run
        if run is None:
            return True
        run.ask()
        ended = await run.await_end(wait)
        if ended:
            self.supervisor.workers.drop(self)
        return ended

    def error(self) -> None:
        """Deal with the error of a run, which is being handled: call `on_error`."""
        call_on_error(self, error_at_hand())

    def make_trigger(self, start: StartArguments) -> Trigger:  # noqa: ARG002  for other kinds
        """Return when the target runs, for one life."""
        return Continuous()

    def unpack(self, function: Callable[..., Any], *, awaited: bool) -> Callable[..., Any]:  # noqa: ARG002  for other kinds
        """Return what takes the trigger's arguments and calls, or awaits, `function`."""
        return function

    @property
    def paced(self) -> bool:
        """True if `start` may be given another pace."""
        return False

    @property
    def checks_result(self) -> bool:
        """True if it has a `process_result` of its own."""
        return is_own(self, BackgroundWorker, "process_result")

    def ask_end(self, run: WorkerRun) -> None:
        """Ask this life to end; more than once, maybe."""
        run.close()

    def retire(self, run: WorkerRun) -> None:
        """Be no longer among the active workers of the supervisor."""
        self.supervisor.workers.retire(self, run.name, failed=run.core.failure is not None)

    def report_failure(self, error: BaseException) -> None:
        """Report to the supervisor that it gave up, and why."""
        self.supervisor.on_worker_failed(self, error)

    def __begin(self, start: StartArguments) -> WorkerRun:
        if not (self._loops or hasattr(self, "run")):
            raise TypeError(f"{self!r} has no target: give func=, set run, or define a method run")
        self.before_start()
        supervisor = self.supervisor
        supervisor.start()
        options = self._worker_options.overridden(start.overrides)
        if not self.paced:
            start.refuse_pace(f"worker {options.name!r}")
        name = supervisor.workers.add(self, options.name, derived=options.derived)
        try:
            run = self._worker_run = self.__make_run(options, name, start, supervisor.running_pools)
            run.begin()
        except BaseException:
            supervisor.workers.retire(self, name)
            self._worker_run = None
            raise
        return run

    def __make_run(
        self, declared: Options, name: str, start: StartArguments, pools: RunningPools
    ) -> WorkerRun:
        options, trigger = declared.named(name), self.make_trigger(start)
        target = self.__target(options, start)
        if target.alone:
            trigger = Continuous()
        runner = runner_for(self, target, options)
        core = Worker(
            options.name,
            target.function,
            trigger,
            restart=options.restart,
            driver=runner.driver,
            on_error=self.__deal_with,
        )
        core.kind = self.kind
        core.gate = self.__gate(declared, trigger)
        hooked = is_own(self, BackgroundWorker, *OF_THE_END)
        return WorkerRun(self, core, runner, pools, hooked=hooked)

    def __gate(self, declared: Options, trigger: Trigger) -> SingletonGate | None:
        if declared.singleton is None:
            return None
        # Of the name as declared: a number behind it would be of this process alone.
        lock = declared.singleton.lock(f"worker {declared.name}")
        return SingletonGate(lock, trigger, self.lease_lost)

    def __target(self, options: Options, start: StartArguments) -> Target:
        if self._loops:
            function = once(self.loop, start)
            self._take_target(function)
            return Target(function, (), {}, {}, self.takes, alone=True)
        own = {"_worker": self, "_name": options.name, "o": options.o}
        return Target(self.run, start.args, start.kwargs, own, self.takes)

    def __deal_with(self, error: Exception) -> None:
        if is_own(self, BackgroundWorker, "error"):
            call_error(self.error, self.name, error)
        else:
            call_on_error(self, error)


class BackgroundAsyncWorker(BackgroundWorker[P, R]):
    """Awaits its target again and again, on `loop`."""


def _name_of(function: Callable[..., object] | None) -> str | None:
    return getattr(function, "__name__", None)
