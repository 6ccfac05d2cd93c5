"""The child's side: the same attempt pipeline over a task that is found by its place.

It says what an error means, since its class is known only here.
"""

from __future__ import annotations

import atexit
import functools
import inspect
from collections.abc import Sequence
from contextvars import Context
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mainspring.engine.attempts.attempt import Attempt, Decision
from mainspring.engine.attempts.current_job import job_records
from mainspring.engine.attempts.pipeline import run
from mainspring.engine.attempts.resources import Resources
from mainspring.engine.attempts.running import host
from mainspring.engine.children.child_main import ChildHost
from mainspring.engine.children.request import decode_request, encode
from mainspring.engine.journal.child import ForwardedNotes
from mainspring.errors import TaskNotImportable
from mainspring.model.codec import JsonCodec
from mainspring.model.middleware import Middleware, middleware_of
from mainspring.model.resource import resource_of
from mainspring.model.retry import RetryRules
from mainspring.model.task import Task
from mainspring.processes.parent_watch import stop_asked

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.engine.attempts.pipeline import Call
    from mainspring.engine.children.request import Around, ChildRequest, Place, Rules
    from mainspring.model.job import Claim
    from mainspring.model.resource import Resource
    from mainspring.protocols import Codec

_CONTEXT = Context()
"""The context that each body copies; never entered again, so nothing is left in it."""

_CONTEXT.run(host.set, ChildHost(stop_asked))


_RESOURCES = Resources()


def answer(payload: bytes, *, limit_bytes: int) -> bytes:
    """Run an errand, in the child. The reply is an encoded decision, of failures too.

    A warm-up is imports and no body; what it raises is raised again when the body is to begin.
    """
    request = decode_request(payload)
    claim = request.claim
    if claim is None:
        _CONTEXT.copy().run(_import, request)
        return b""
    steps = _steps_of(claim.task, request.function, request.rules, request.around, limit_bytes)
    _install_job_records()
    if request.around.resources:
        _close_resources_at_exit()
    return encode(_CONTEXT.copy().run(_run, steps, claim))


def _import(request: ChildRequest) -> None:
    _function(*request.function)
    _imported_rules(*request.rules)
    _imported_middleware(request.around.middleware)
    _imported_resources(request.around.resources)


@functools.cache
def _install_job_records() -> None:
    job_records.install()


def _run(steps: _ChildSteps, claim: Claim) -> Decision:
    with ForwardedNotes(claim):
        return run(steps, claim, 0)


class _ChildSteps:
    """The attempt's steps, but for its judgement: that is the parent's."""

    def __init__(self, attempt: Attempt, tasks: _ImportedTask) -> None:
        self._attempt = attempt
        self._tasks = tasks

    def open(self, claim: Claim, slot: int) -> Call:
        """Return the call; a coroutine is run here, on a loop of its own.

        But for one with resources that belong to a loop: that is kept, with them.
        """
        call = self._attempt.open(claim, slot)
        if not inspect.iscoroutinefunction(call[0]):
            return call
        injected = self._tasks[claim.task].injected
        keeps = any(one.is_async for one in injected.values())
        return _run_coroutine, call, {"keeps_loop": keeps}

    def completed(self, claim: Claim, result: object, began: float) -> Decision:
        """Return the outcome of a body that returned."""
        return Decision(self._attempt.completed(claim, result, began), by_backoff=False)

    def decide(self, claim: Claim, error: BaseException, began: float) -> Decision:
        """Return what the error asks for; of a task that can't be imported, by the usual rules."""
        attempt = (
            self._attempt if self._tasks.known(claim.task) else _unimportable_attempt(claim.task)
        )
        return attempt.decision(claim, error, began)

    def lost(self, claim: Claim, error: BaseException, began: float) -> Decision:
        """Return a failure for an error that can't be inspected."""
        return Decision(self._attempt.lost(claim, error, began), by_backoff=False)


@functools.cache
def _steps_of(
    task: str, function: Place, rules: Rules, around: Around, limit_bytes: int
) -> _ChildSteps:
    """Return the steps of a task's attempts; to make them anew takes as long as a short body."""
    codec = _ImportedCodec(function, limit_bytes)
    tasks = _ImportedTask(task, function, rules, around)
    middleware = _ImportedMiddleware(around.middleware)
    attempt = Attempt(tasks, codec, _note_nothing, middleware=middleware, resources=_RESOURCES)
    return _ChildSteps(attempt, tasks)


def _unimportable_attempt(task: str) -> Attempt:
    """Return the attempt of a task that can't be imported: its rules may be as lost as it is."""
    return Attempt({task: Task(task, _note_nothing)}, JsonCodec(), _note_nothing)


class _ImportedTask:
    """The one task of a request, imported when the attempt asks for it: inside its border."""

    def __init__(self, name: str, function: Place, rules: Rules, around: Around) -> None:
        self._around = around
        self._name = name
        self._function = function
        self._rules = rules
        self._task: Task | None = None

    def __getitem__(self, name: str) -> Task:
        if self._task is None:
            rules = _imported_rules(*self._rules)
            function = _function(*self._function)
            injected = _imported_resources(self._around.resources)
            self._task = Task(self._name, function, rules=rules, injected=injected)
        return self._task

    def known(self, name: str) -> bool:
        """Return whether the task is found, with the classes of its rules."""
        try:
            self[name]
        except BaseException:  # noqa: BLE001  # a user's module may raise what it likes
            return False
        return True


def _imported_rules(
    retry_on: tuple[Place, ...] | None, give_up_on: tuple[Place, ...]
) -> RetryRules:
    retried = None if retry_on is None else tuple(_imported(*place) for place in retry_on)
    return RetryRules(retried, tuple(_imported(*place) for place in give_up_on))


class _ImportedMiddleware(Sequence[Middleware]):
    """The middleware of a request, imported when the attempt asks for it: inside its border."""

    def __init__(self, places: tuple[Place, ...]) -> None:
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: Any) -> Any:
        return _imported_middleware(self._places)[place]


@functools.cache
def _imported_resources(places: tuple[tuple[str, Place], ...]) -> dict[str, Resource]:
    return {name: resource_of(_imported(*place)) for name, place in places}


@functools.cache
def _imported_middleware(places: tuple[Place, ...]) -> tuple[Middleware, ...]:
    return tuple(middleware_of(_imported(*place)) for place in places)


@functools.cache
def _imported(module: str, qualname: str) -> Any:
    found: Any = import_module(module)
    for name in qualname.split("."):
        if not hasattr(found, name):
            why = f"there is no {module}.{qualname} when the module is imported there"
            raise TaskNotImportable(f"{module}.{qualname}", why)
        found = getattr(found, name)
    return found


class _ImportedCodec:
    """The codec of the task's own queue, found where the task is, once the attempt has begun.

    So registered types and signing keys come from the user's module, in the child as in the parent,
    and never cross the pipe. A bare function under that name leaves plain JSON.
    """

    def __init__(self, function: Place, limit_bytes: int) -> None:
        self._function = function
        self._plain = JsonCodec(limit_bytes)
        self.limit_bytes = limit_bytes

    def _own(self) -> Codec:
        found = _imported(*self._function)
        own: Codec | None = getattr(found, "codec", None) if _is_task(found) else None
        return own or self._plain

    def decode_call(self, payload: bytes, task: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the `(args, kwargs)` of that task, or raise `Undecodable`."""
        return self._own().decode_call(payload, task)

    def encode_result(self, value: object, task: str) -> bytes:
        """Return the text of a task's result, or raise `Unstorable`."""
        return self._own().encode_result(value, task)


def _is_task(found: Any) -> bool:
    return isinstance(getattr(found, "task", None), Task)


@functools.cache
def _function(module: str, qualname: str) -> Callable[..., Any]:
    found = _imported(module, qualname)
    # The module's name holds the task of the function. Never unwrap further than that: below may
    # be decorators of the user's own, which belong to the body.
    function: Callable[..., Any] = found.task.function if _is_task(found) else found
    return function


def _run_coroutine(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], *, keeps_loop: bool
) -> Any:
    if keeps_loop:
        return _RESOURCES.on_loops.run(function(*args, **kwargs))
    import asyncio  # noqa: PLC0415  # a lazy door: most children never need it

    return asyncio.run(function(*args, **kwargs))


@functools.cache
def _close_resources_at_exit() -> None:
    # Not where it is killed: a child ends so when its worker stops, or replaces it.
    atexit.register(_RESOURCES.close_here)


def _note_nothing(slot: int, key: int, fence: int) -> None:
    """Note nothing: the parent's board says it already."""
