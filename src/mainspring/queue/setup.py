"""The part of the front door that sets a queue up in its program, before and around its jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from weakref import ref

from mainspring.errors import InvalidOption
from mainspring.model.injected import is_marked
from mainspring.model.script import NOWHERE
from mainspring.queue.configuring import configure
from mainspring.queue.operations import Operations

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import timedelta
    from typing import Unpack

    from mainspring.engine.locks.keeper import LockKeeper
    from mainspring.engine.settings import WorkerSettings
    from mainspring.model.middleware import Middleware
    from mainspring.model.sending import Sender
    from mainspring.model.task import Task
    from mainspring.protocols import Subscriber
    from mainspring.queue.consumers import Consumers
    from mainspring.queue.lock import NamedLock
    from mainspring.queue.options import ConfigureOptions

OWNER = "@queue.middleware"

F = TypeVar("F", bound="Callable[..., Any]")


class QueueSetup(Operations):
    """Operations of a queue, and its setup: options, middleware, resources, subscribers, locks."""

    _consumers: Consumers

    if TYPE_CHECKING:

        @property
        def settings(self) -> WorkerSettings:
            """The settings, for the lease of locks."""
            ...

    def configure(self, url: str | None = None, **options: Unpack[ConfigureOptions]) -> None:
        """Change options that the queue was made with, for a program that learns them later.

        Before its first use: the first job, reading of jobs, or worker. For `url` and what else
        there is, see `Queue`; those of its codec can't be changed, as tasks bear it from the start.
        Raises InvalidOption, also when it comes too late, and UnknownOption.
        """
        configure(self._binding, self._consumers, {"url": url, **options})

    def init_app(
        self, app: Any, url: str | None = None, **options: Unpack[ConfigureOptions]
    ) -> None:
        """Configure the queue by an application, and put it there: for app factories.

        Of Flask: `app.config["MAINSPRING_URL"]`, and each other option of `configure` in capital
        letters after `MAINSPRING_`; the queue stands in `app.extensions["mainspring"]`, and bodies
        run in the application's context, but in child processes. Of Starlette and FastAPI: it
        stands in `app.state.mainspring`. `url` and `options` go before the configuration. Further
        applications may follow, after the first use with the same options. Raises InvalidOption,
        UnknownOption.
        """
        from mainspring.queue.in_app import init_app  # noqa: PLC0415  # a lazy door

        init_app(self, self._binding, self._consumers, app, {"url": url, **options})

    def autodiscover(self, packages: Iterable[str], name: str = "tasks") -> list[str]:
        """Import the module `name` of each package that has one; return those that were imported.

        `packages` are names, as of Django's applications. What such a module raises is raised here,
        with a note that names it. Raises InvalidOption for a package that is not there.
        """
        from mainspring.queue.autodiscovery import autodiscover  # noqa: PLC0415  # a lazy door

        return autodiscover(packages, name)

    def middleware(self, function: F) -> F:
        """Run a context manager around every attempt of this queue's jobs: `@queue.middleware`.

        `function` is a generator function with one yield, what `contextlib` makes of one, or a
        class of context managers; it is given the attempt, with its `id`, `task`, `queue`, `args`,
        `kwargs`, `attempt` and `crashes`. They nest in order of registration, the first outermost,
        in threads, coroutines and child processes alike; one with `async` is for queues whose tasks
        are all `async def`. What it raises is the attempt's error. Returns `function`. Raises
        InvalidOption.
        """
        from mainspring.model.middleware import (  # noqa: PLC0415  # a lazy door
            middleware_of,
            replace_middleware,
        )

        one = middleware_of(function)
        for task in self._binding.tasks:
            _check(one, task)
        replace_middleware(self._binding.middleware, one)
        return function

    def instrument(self, *, sender: Sender, around: Callable[..., Any]) -> Callable[[], None]:
        """Put a context manager around each enqueuing, and middleware around each attempt.

        `sender` is given a Sending: its `jobs`, `ids` after they were kept, and `add_headers` for
        texts that go with each of them; the middleware `around` finds these in the attempt's
        `headers`. Return a function that takes both off again. For libraries such as
        `mainspring.integrations.opentelemetry`. Raises InvalidOption.
        """
        self.middleware(around)
        self._binding.senders.append(sender)
        this = ref(self)  # who keeps what ends it keeps no queue by it

        def undo() -> None:
            if (queue := this()) is not None:
                binding = queue._binding  # noqa: SLF001  # its own
                binding.senders[:] = [one for one in binding.senders if one is not sender]
                rest = [one for one in binding.middleware if one.function is not around]
                binding.middleware[:] = rest

        return undo

    def resource(self, function: F) -> F:
        """Make a value once in each worker, and give it to the bodies that ask: `@queue.resource`.

        `function` takes nothing and returns it, or yields it once and then closes it; with `async`
        it does so on the loop of the `async def` tasks. A task's parameter asks by being annotated
        with the class that `function` says it returns or yields; it is then no argument of jobs.
        Made when a body first needs it, in each child process anew, and closed when the worker or
        the child ends. Returns `function`. Raises InvalidOption.
        """
        from mainspring.queue.injection import add_resource  # noqa: PLC0415  # a lazy door

        add_resource(self._binding, function)
        return function

    def subscribe(
        self,
        subscriber: Subscriber,
        *kinds: str,
        inline: bool = False,
        redact: Collection[str] = (),
    ) -> Callable[[], None]:
        """Call `subscriber` with what happens here from now on; return a function that ends that.

        It gets what this process enqueues and cancels, and what its workers do. `kinds`: of these
        only, as in `"failed", "node_lost"`; without any, of all. A subscriber is called in a thread
        of its own, one event after the other; what it raises is logged. While 10,000 events wait
        for it, more are dropped, and it is told how many. `inline`: it is called in the thread
        where the event happens, which waits for it. `redact`: names of arguments and fields whose
        values it does not see. See docs/howto/events.md. Raises InvalidOption.
        """
        from mainspring.queue.subscribing import (  # noqa: PLC0415  # a lazy door
            check_subscriber,
            checked_kinds,
            hidden_of,
        )

        owner = "Queue.subscribe()"
        check_subscriber(owner, subscriber)
        wanted = checked_kinds(owner, kinds)
        hidden = hidden_of(owner, redact, self._binding.tasks)
        return self._binding.feed.subscribe(subscriber, wanted, inline=inline, hidden=hidden)

    def lock(
        self,
        name: str,
        *,
        wait: float | timedelta | None = None,
        on_lost: Callable[[], object] | None = None,
    ) -> NamedLock:
        """Return a lock that one block at a time holds, of all processes on this store.

        `with queue.lock("meter") as held:`, or `async with`; `held.fence` is a number above that of
        every earlier holder, `held.lost` says that the lease was lost. `wait`: seconds (or a
        timedelta) until `LockNotAcquired` is raised, 0: ask once; None: wait as long as it takes.
        `on_lost` is called, from another thread, when the lease is lost: when this process was
        stopped, or its store silent, for longer than the queue's `lease`. Not reentrant: who takes
        it twice is refused. Raises InvalidOption.
        """
        from mainspring.queue.lock import NamedLock  # noqa: PLC0415  # a lazy door

        return NamedLock(self._lock_keeper, name, wait=wait, on_lost=on_lost)

    def _lock_keeper(self) -> LockKeeper:
        return self._client.lock_keeper(self.settings)

    def _add_task(self, task: Task) -> Task:
        for one in self._binding.middleware:
            _check(one, task)
        if self._binding.resources or is_marked(task.function):
            from mainspring.queue.injection import with_injected  # noqa: PLC0415  # as above

            task = with_injected(task, self._binding.resources)
        self._binding.tasks.add(task)
        return task


def _check(one: Middleware, task: Task) -> None:
    """Raise InvalidOption if middleware can't be around the task's body."""
    why = remedy = ""
    if not one.is_sync and not task.is_coroutine:
        why = f"is async, and task {task.name!r} is not: nothing there can await it"
        remedy = "make it a def, which can be around both, or the task async def"
    elif task.executor == "process" and ("<" in one.qualname or one.module == NOWHERE):
        why = f"can't be imported by a child process, where task {task.name!r} runs"
        remedy = "define it at the top level of a module, or leave out executor='process'"
    if why:
        raise InvalidOption("function", one.function, owner=OWNER, why=why, remedy=remedy)
