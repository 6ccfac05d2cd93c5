"""The part of the front door that registers what is around the bodies of a queue's tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from weakref import ref

from mainspring.errors import InvalidOption
from mainspring.model.injected import is_marked
from mainspring.model.place import NOWHERE
from mainspring.queue.operations import Operations

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.model.middleware import Middleware
    from mainspring.model.sending import Sender
    from mainspring.model.task import Task

OWNER = "@queue.middleware"

F = TypeVar("F", bound="Callable[..., Any]")


class AroundBodies(Operations):
    """Operations of a queue, its middleware and its resources."""

    def middleware(self, function: F) -> F:
        """Run a context manager around every attempt of this queue's jobs: `@queue.middleware`.

        `function` is a generator function with one yield, what `contextlib` makes of one, or a
        class of context managers; it is given the attempt, with its `id`, `task`, `queue`, `args`,
        `kwargs`, `attempt` and `crashes`. They nest in order of registration, the first outermost,
        in threads, coroutines and child processes alike; one with `async` is for queues whose tasks
        are all `async def`. What it raises is the attempt's error. Returns `function`. Raises
        InvalidOption.
        """
        from mainspring.model.middleware import middleware_of  # noqa: PLC0415  # a lazy door

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


def replace_middleware(registered: list[Middleware], one: Middleware) -> None:
    """Add middleware; defined anew, in a reloaded module or a notebook, it replaces the old one."""
    at_top = "<" not in one.qualname
    names = [other.name for other in registered] if at_top else []
    if one.name in names:
        registered[names.index(one.name)] = one
    else:
        registered.append(one)
