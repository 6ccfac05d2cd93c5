"""The options of a worker as its attributes: to be read, and set where that has an effect."""

from __future__ import annotations

import inspect
import uuid
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, overload

from mainspring.background.accepted_arguments import accepted_arguments
from mainspring.background.supervisor.front import TaskSupervisor, task_supervisor
from mainspring.background.workers.hooks import NEVER_AWAITED, Hooks
from mainspring.background.workers.options import COMMON, OVERRIDES, Options
from mainspring.background.workers.target import has_static_run
from mainspring.supervision.workers.worker import is_async

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping
    from typing import Literal

    from mainspring.background.workers.worker_run import WorkerRun
    from mainspring.protocols import LockSource

T = TypeVar("T")


class Setting(Generic[T]):
    """An option that can be set before a start; a `live` one also later, for the next run.

    Setting any other while the worker is started raises `AttributeError`, a value that makes no
    sense `InvalidOption`.
    """

    def __init__(self, *, live: bool = False) -> None:
        self._live = live
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, worker: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self, worker: Settings, owner: type | None = None) -> T: ...
    def __get__(self, worker: Settings | None, owner: type | None = None) -> Any:
        """Return the value, or the setting itself from the class."""
        return self if worker is None else getattr(worker.worker_options, self._name)

    def __set__(self, worker: Settings, value: T) -> None:
        worker.set_worker_option(self._name, value, live=self._live)


class Settings(Hooks):
    """The attributes of a worker that are its options, and its target."""

    own_options: ClassVar[tuple[str, ...]] = ()
    """The options that a kind of worker takes besides those of all."""
    _loops: ClassVar[bool] = False
    """True if it has a `loop` of its own instead of a target that a trigger sets off."""

    _worker_options: Options
    _worker_run: WorkerRun | None

    if TYPE_CHECKING:
        run: Callable[..., Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if Settings in cls.__bases__:
            return  # `restart` is its verb
        cls._loops = not isinstance(cls.loop, property)
        for option, value in vars(cls).items():
            if option in NEVER_AWAITED and inspect.iscoroutinefunction(value):
                raise TypeError(
                    f"{option} of class {cls.__qualname__} is async, and nobody would await it: "
                    "make it a plain method"
                )
            if not (isinstance(value, property | Setting) or cls._may_define(option, value)):
                raise TypeError(
                    f"{option} of class {cls.__qualname__} would do nothing: "
                    f"give {option}= to the constructor, as super().__init__({option}=...)"
                )

    @classmethod
    def _may_define(cls, name: str, value: object) -> bool:
        """Return whether a class may have this in its body: a method of that name, or no option."""
        if name in ("loop", "restart"):
            return callable(value)
        if name == "pool":
            return True
        return name not in (*COMMON, *cls.own_options)

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute, or the target, from the next start on; some options can't be set."""
        known = isinstance(getattr(type(self), name, None), property | Setting)
        if name == "restart" or (name in self.own_options and not known):
            raise AttributeError(
                f"{name} of worker {self.name!r} can't be set later: "
                f"give {name}= to the constructor"
            )
        if name == "run":
            self._take_target(value)
        super().__setattr__(name, value)

    o = Setting[Any](live=True)
    """The object it is running for; as an argument of the target from the next start on."""
    priority = Setting[int]()
    """Its priority in the thread pool."""
    on_error: Setting[Callable[..., object] | None] = Setting(live=True)
    on_error_kwargs: Setting[Mapping[str, Any]] = Setting(live=True)
    singleton: Setting[LockSource | None] = Setting()
    """The queue in whose store one process at a time may run it."""
    executor: Setting[Literal["thread", "process"] | None] = Setting()

    @property
    def name(self) -> str:
        """Its name, for this life the one that `start` was given."""
        run = self._worker_run
        return self._worker_options.name if run is None or run.over else run.name

    @name.setter
    def name(self, name: str | None) -> None:
        self.set_name(name)

    def set_name(self, name: str | None) -> None:
        """Give it another name, None for a random one; before a start."""
        self.set_worker_option("name", str(uuid.uuid4()) if name is None else name)

    @property
    def worker_options(self) -> Options:
        """The options that it has."""
        return self._worker_options

    def set_worker_option(self, option: str, value: Any, *, live: bool = False) -> None:
        """Set an option; `live`: also while it is started.

        Raises `AttributeError` if it is started, and `InvalidOption`.
        """
        if not live and self.is_started():
            also = f", or give _{option}= to start" if f"_{option}" in OVERRIDES else ""
            raise AttributeError(
                f"{option} of worker {self.name!r} can't be set while it is started: "
                f"stop it first{also}"
            )
        options = self._worker_options.with_setting(option, value)
        if hasattr(self, "run"):
            self._check_target(self.run, options)
        self._worker_options = options

    @property
    def poll_delay(self) -> float:
        """Accepted for the reference pages' sake; it limits neither throughput nor latency."""
        return self._worker_options.poll_delay or self.supervisor.poll_delay

    @poll_delay.setter
    def poll_delay(self, seconds: float | None) -> None:
        self.set_worker_option("poll_delay", seconds, live=True)

    @property
    def supervisor(self) -> TaskSupervisor:
        """The supervisor that starts it."""
        return self._worker_options.supervisor or task_supervisor

    @supervisor.setter
    def supervisor(self, supervisor: TaskSupervisor | None) -> None:
        self.set_worker_option("supervisor", supervisor)

    @property
    def event_loop(self) -> asyncio.AbstractEventLoop | None:
        """The asyncio loop that its target is awaited on, while it is started."""
        run = self._worker_run
        return None if run is None or run.over else run.runner.loop

    if TYPE_CHECKING:
        loop: Any  # so that a subclass may have a method of that name
    else:

        @property
        def loop(self) -> Any:
            """The asyncio loop of its target while it is started, and else the one it was given."""
            return self.event_loop or self._worker_options.loop

        @loop.setter
        def loop(self, loop: Any) -> None:
            self.set_worker_option("loop", loop)

    def is_started(self) -> bool:
        """Return whether it was started and has not ended."""
        run = self._worker_run
        return run is not None and not run.over

    def is_stopped(self) -> bool:
        """Return whether it was started and has ended."""
        run = self._worker_run
        return run is not None and run.over

    def _take_target(self, run: Any) -> None:
        if not callable(run):
            raise TypeError(f"target {run!r} of worker {self.name!r} can't be called")
        self._check_target(run, self._worker_options)
        self.takes = accepted_arguments(run)

    def _check_target(self, run: Callable[..., Any], options: Options) -> None:
        executor = options.executor
        isolated = has_static_run(type(self)) if executor is None else executor == "process"
        awaited = is_async(run)
        options.check_target(run, awaited=awaited, isolated=isolated)
        self.isolated, self.awaited = isolated, awaited
