"""A body in a child process: what goes over, what comes back, and what a dead child means.

The child runs the same attempt pipeline and says what an error means, since its class is known only
there; whether attempts are left is judged in the parent, which knows the task's options.
"""

from __future__ import annotations

import functools
import inspect
from contextvars import copy_context
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from msgspec.structs import replace

from mainspring.engine.attempt import Attempt, Ruling, crashed, put_off
from mainspring.engine.child_journal import Told
from mainspring.engine.context import host
from mainspring.engine.host import ChildHost
from mainspring.engine.pipeline import run
from mainspring.errors import AttemptTimeout, ChildDied, ChildStartFailed, NotRunning
from mainspring.model.codec import JsonCodec
from mainspring.model.job import Claim, Outcome, OutcomeKind
from mainspring.model.retry import RetryRules
from mainspring.model.task import Task, importable_module
from mainspring.supervision.processes.lifeline import stop_asked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mainspring.engine.attempt import Tasks
    from mainspring.engine.pipeline import Call
    from mainspring.protocols import Codec
    from mainspring.protocols.executor import Grant

Place = tuple[str, str]
"""Module and qualified name of a function or class: how a child finds it."""

Rules = tuple[tuple[Place, ...] | None, tuple[Place, ...]]
"""Where the classes are of `retry_on` (None: of all errors) and of `give_up_on`."""


class Errand(msgspec.Struct, frozen=True):
    """A claim, with the places where the child finds the function and the classes of its rules."""

    function: Place
    rules: Rules
    claim: Claim


_HOST = ChildHost(stop_asked)

_encode = msgspec.msgpack.Encoder().encode
_decode_errand = msgspec.msgpack.Decoder(Errand).decode
_decode_ruling = msgspec.msgpack.Decoder(Ruling).decode


def answer(request: bytes, *, limit_bytes: int) -> bytes:
    """Run an errand, in the child. The reply is an encoded ruling, of failures too."""
    errand = _decode_errand(request)
    claim = errand.claim
    terms = _terms(claim.task, errand.function, errand.rules, limit_bytes)
    if host.get() is not _HOST:
        host.set(_HOST)
    with Told(claim):
        return _encode(copy_context().run(run, terms, claim, 0))


class _Terms:
    """The attempt's terms, but for its judgement: that is the parent's."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self.seal = attempt.seal

    def open(self, claim: Claim, slot: int) -> Call:
        """Return the call."""
        return self._attempt.open(claim, slot)

    def completed(self, claim: Claim, result: bytes, began: float) -> Ruling:
        """Return the outcome of a body that returned."""
        return Ruling(self._attempt.completed(claim, result, began), by_backoff=False)

    def failed(self, claim: Claim, error: BaseException, began: float) -> Ruling:
        """Return what the error says."""
        return self._attempt.ruling(claim, error, began)


class Children(Protocol):
    """The pool of children."""

    def request(
        self,
        payload: bytes,
        *,
        label: str = ...,
        timeout: float | None = ...,
        key: Any = ...,
        on_note: Callable[[bytes], object] | None = ...,
    ) -> bytes:
        """Have a child answer."""
        ...

    def kill(self, key: Any) -> bool:
        """Kill the child that answers the request of that key; False if none does yet."""
        ...

    def withdraw(self, key: Any) -> bool:
        """End the request of that key, if it still waits for a child."""
        ...


class ChildAttempt:
    """Runs claims in children; what a thread slot needs of an attempt."""

    def __init__(
        self,
        attempt: Attempt,
        tasks: Tasks,
        children: Children,
        note: Callable[[int, int, int], None],
        *,
        hear: Callable[[bytes], object] | None = None,
    ) -> None:
        self._hear = hear
        self._attempt = attempt
        self._tasks = tasks
        self._children = children
        self._note = note
        self._asked: dict[Grant, Callable[[Claim], Outcome]] = {}

    def timeout(self, claim: Claim) -> float | None:  # noqa: ARG002  # the seam's signature
        """Return None: the pool keeps the deadline, by killing the child."""
        return None

    def timed_out(self, claim: Claim, began: float) -> Outcome:
        """Return the outcome of an attempt that ran past its limit."""
        return self._attempt.timed_out(claim, began)

    def kill(self, claim: Claim, outcome: Callable[[Claim], Outcome]) -> None:
        """Kill the child that runs this very claim, which ends with that outcome."""
        grant = claim.key, claim.fence
        self._asked[grant] = outcome
        if not self._children.kill(grant):
            self._children.withdraw(grant)

    def run(self, claim: Claim, slot: int) -> Outcome:
        """Run it in a child; never raises."""
        began = monotonic()
        try:
            self._note(slot, claim.key, claim.fence)
            return self._judged(claim, _decode_ruling(self._send(claim)))
        except AttemptTimeout:
            return self._attempt.timed_out(claim, began)
        except BaseException as error:  # noqa: BLE001  # the border of an attempt
            if (outcome := self._asked.get((claim.key, claim.fence))) is not None:
                return outcome(claim)
            if isinstance(error, ChildDied):
                return crashed(claim, error, began)
            if isinstance(error, (ChildStartFailed, NotRunning)):
                return put_off(claim, error, began)
            return self._attempt.failed(claim, error, began)
        finally:
            self._asked.pop((claim.key, claim.fence), None)

    def _judged(self, claim: Claim, ruling: Ruling) -> Outcome:
        keep = self._tasks[claim.task].keep_result
        if keep is not None and ruling.outcome.kind is OutcomeKind.COMPLETED:
            return replace(ruling.outcome, keep=keep)
        return self._attempt.judged(claim, ruling)

    def _send(self, claim: Claim) -> bytes:
        task = self._tasks[claim.task]
        errand = _encode(Errand((task.module, task.qualname), _told_rules(task.rules), claim))
        grant = claim.key, claim.fence
        return self._children.request(
            errand, label=claim.task, timeout=task.timeout, key=grant, on_note=self._hear
        )


@functools.cache
def _told_rules(rules: RetryRules) -> Rules:
    retry_on = None if rules.retry_on is None else _places_of(rules.retry_on)
    return retry_on, _places_of(rules.give_up_on)


def _places_of(kinds: Iterable[type]) -> tuple[Place, ...]:
    return tuple((importable_module(kind), kind.__qualname__) for kind in kinds)


@functools.cache
def _terms(task: str, function: Place, rules: Rules, limit_bytes: int) -> _Terms:
    """Return the terms of a task's errands; to make them anew takes as long as a short body."""
    codec = _FoundCodec(function, limit_bytes)
    return _Terms(Attempt(_Found(task, function, rules), codec, _note_nothing))


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


def _found_rules(retry_on: tuple[Place, ...] | None, give_up_on: tuple[Place, ...]) -> RetryRules:
    retried = None if retry_on is None else tuple(_found(*place) for place in retry_on)
    return RetryRules(retried, tuple(_found(*place) for place in give_up_on))


@functools.cache
def _found(module: str, qualname: str) -> Any:
    found: Any = import_module(module)
    for name in qualname.split("."):
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

    def decode_call(self, payload: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return `(args, kwargs)`, or raise `Undecodable`."""
        return self._own().decode_call(payload)

    def encode_result(self, value: object) -> bytes:
        """Return the text of a result, or raise `Unstorable`."""
        return self._own().encode_result(value)


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
