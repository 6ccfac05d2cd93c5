"""The child's side: the same attempt pipeline over a task that is found by its place.

It says what an error means, since its class is known only here.
"""

from __future__ import annotations

import functools
import inspect
from contextvars import Context
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mainspring.engine.attempts.attempt import Attempt, Ruling
from mainspring.engine.attempts.current_job import job_records
from mainspring.engine.attempts.pipeline import run
from mainspring.engine.attempts.running import host
from mainspring.engine.children.child_main import ChildHost
from mainspring.engine.children.request import decode_errand, encode
from mainspring.engine.journal.child import Told
from mainspring.errors import TaskNotImportable
from mainspring.model.codec import JsonCodec
from mainspring.model.retry import RetryRules
from mainspring.model.task import Task
from mainspring.processes.parent_watch import stop_asked

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.engine.attempts.pipeline import Call
    from mainspring.engine.children.request import Place, Rules
    from mainspring.model.job import Claim
    from mainspring.protocols import Codec

_CONTEXT = Context()
"""What each body begins with; never entered again, so nothing is left in it."""

_CONTEXT.run(host.set, ChildHost(stop_asked))


def answer(request: bytes, *, limit_bytes: int) -> bytes:
    """Run an errand, in the child. The reply is an encoded ruling, of failures too.

    A warm-up is imports and no body; what it raises is raised again when the body is to begin.
    """
    errand = decode_errand(request)
    claim = errand.claim
    if claim is None:
        _CONTEXT.copy().run(_import, errand.function, errand.rules)
        return b""
    terms = _terms(claim.task, errand.function, errand.rules, limit_bytes)
    _install_job_records()
    return encode(_CONTEXT.copy().run(_run, terms, claim))


def _import(function: Place, rules: Rules) -> None:
    _function(*function)
    _found_rules(*rules)


@functools.cache
def _install_job_records() -> None:
    job_records.install()


def _run(terms: _Terms, claim: Claim) -> Ruling:
    with Told(claim):
        return run(terms, claim, 0)


class _Terms:
    """The attempt's terms, but for its judgement: that is the parent's."""

    def __init__(self, attempt: Attempt, tasks: _Found) -> None:
        self._attempt = attempt
        self._tasks = tasks
        self.seal = attempt.seal

    def open(self, claim: Claim, slot: int) -> Call:
        """Return the call."""
        return self._attempt.open(claim, slot)

    def completed(self, claim: Claim, result: bytes, began: float) -> Ruling:
        """Return the outcome of a body that returned."""
        return Ruling(self._attempt.completed(claim, result, began), by_backoff=False)

    def judge(self, claim: Claim, error: BaseException, began: float) -> Ruling:
        """Return what the error says; of a task that is not found here, by the usual rules."""
        attempt = self._attempt if self._tasks.known(claim.task) else _unfound(claim.task)
        return attempt.ruling(claim, error, began)

    def lost(self, claim: Claim, error: BaseException, began: float) -> Ruling:
        """Return a failure for an attempt that can't be judged."""
        return Ruling(self._attempt.lost(claim, error, began), by_backoff=False)


@functools.cache
def _terms(task: str, function: Place, rules: Rules, limit_bytes: int) -> _Terms:
    """Return the terms of a task's errands; to make them anew takes as long as a short body."""
    codec = _FoundCodec(function, limit_bytes)
    tasks = _Found(task, function, rules)
    return _Terms(Attempt(tasks, codec, _note_nothing), tasks)


def _unfound(task: str) -> Attempt:
    """Return the attempt of a task that can't be imported: its rules may be as lost as it is."""
    return Attempt({task: Task(task, _note_nothing)}, JsonCodec(), _note_nothing)


class _Found:
    """The one task of an errand, imported when the attempt asks for it: inside its border."""

    def __init__(self, name: str, function: Place, rules: Rules) -> None:
        self._name = name
        self._function = function
        self._rules = rules
        self._task: Task | None = None

    def __getitem__(self, name: str) -> Task:
        if self._task is None:
            rules = _found_rules(*self._rules)
            self._task = Task(self._name, _function(*self._function), rules=rules)
        return self._task

    def known(self, name: str) -> bool:
        """Return whether the task is found, with the classes of its rules."""
        try:
            self[name]
        except BaseException:  # noqa: BLE001  # a user's module may raise what it likes
            return False
        return True


def _found_rules(retry_on: tuple[Place, ...] | None, give_up_on: tuple[Place, ...]) -> RetryRules:
    retried = None if retry_on is None else tuple(_found(*place) for place in retry_on)
    return RetryRules(retried, tuple(_found(*place) for place in give_up_on))


@functools.cache
def _found(module: str, qualname: str) -> Any:
    found: Any = import_module(module)
    for name in qualname.split("."):
        if not hasattr(found, name):
            why = f"there is no {module}.{qualname} when the module is imported there"
            raise TaskNotImportable(f"{module}.{qualname}", why)
        found = getattr(found, name)
    return found


class _FoundCodec:
    """The codec of the task's own queue, found where the task is, once the attempt has begun.

    So registered types and signing keys come from the user's module, in the child as in the parent,
    and never cross the pipe. A bare function under that name leaves plain JSON.
    """

    def __init__(self, function: Place, limit_bytes: int) -> None:
        self._function = function
        self._plain = JsonCodec(limit_bytes)
        self.limit_bytes = limit_bytes

    def _own(self) -> Codec:
        found = _found(*self._function)
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
    found = _found(module, qualname)
    # The module's name holds the task of the function. Never unwrap further than that: below may
    # be decorators of the user's own, which belong to the body.
    function: Callable[..., Any] = found.task.function if _is_task(found) else found
    if inspect.iscoroutinefunction(function):
        return functools.partial(_run_coroutine, function)
    return function


def _run_coroutine(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    import asyncio  # noqa: PLC0415  # a lazy door: most children never need it

    return asyncio.run(function(*args, **kwargs))


def _note_nothing(slot: int, key: int, fence: int) -> None:
    """Note nothing: the parent's board says it already."""
