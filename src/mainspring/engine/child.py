"""A body in a child process: what goes over, what comes back, and what a dead child means.

The child runs the same attempt pipeline and decides nothing: whether a failed attempt is retried
is judged in the parent, which knows the task's options.
"""

from __future__ import annotations

import functools
import inspect
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from mainspring.engine.attempt import Attempt, crashed, put_off
from mainspring.errors import AttemptTimeout, ChildDied, ChildStartFailed, NotRunning
from mainspring.model.codec import JsonCodec
from mainspring.model.job import Claim, Outcome
from mainspring.model.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.engine.attempt import Tasks
    from mainspring.protocols import Codec

_MANY = 2**31
"""Retries that the child need not count: the parent does."""


class Errand(msgspec.Struct, frozen=True):
    """A claim, with the place where the child finds the function."""

    module: str
    qualname: str
    claim: Claim


_encode = msgspec.msgpack.Encoder().encode
_decode_errand = msgspec.msgpack.Decoder(Errand).decode
_decode_outcome = msgspec.msgpack.Decoder(Outcome).decode


def answer(request: bytes, *, limit_bytes: int) -> bytes:
    """Run an errand, in the child. The reply is an encoded outcome, of failures too."""
    errand = _decode_errand(request)
    attempt = Attempt(_Found(errand), _FoundCodec(errand, limit_bytes), _note_nothing)
    return _encode(attempt.run(errand.claim, 0))


class Children(Protocol):
    """The pool of children."""

    def request(
        self, payload: bytes, *, label: str = ..., timeout: float | None = ..., key: Any = ...
    ) -> bytes:
        """Have a child answer."""
        ...


class ChildAttempt:
    """Runs claims in children; what a thread slot needs of an attempt."""

    def __init__(
        self,
        attempt: Attempt,
        tasks: Tasks,
        children: Children,
        note: Callable[[int, int, int], None],
    ) -> None:
        self._attempt = attempt
        self._tasks = tasks
        self._children = children
        self._note = note
        self._asked: dict[int, Callable[[Claim], Outcome]] = {}

    def timeout(self, claim: Claim) -> float | None:  # noqa: ARG002  # the seam's signature
        """Return None: the pool keeps the deadline, by killing the child."""
        return None

    def timed_out(self, claim: Claim, began: float) -> Outcome:
        """Return the outcome of an attempt that ran past its limit."""
        return self._attempt.timed_out(claim, began)

    def ask(self, slot: int, outcome: Callable[[Claim], Outcome]) -> None:
        """Say what the outcome is to be when the slot's child is killed now."""
        self._asked[slot] = outcome

    def run(self, claim: Claim, slot: int) -> Outcome:
        """Run it in a child; never raises."""
        began = monotonic()
        self._asked.pop(slot, None)
        try:
            self._note(slot, claim.key, claim.fence)
            return self._attempt.judged(claim, _decode_outcome(self._send(claim, slot)))
        except AttemptTimeout:
            return self._attempt.timed_out(claim, began)
        except BaseException as error:  # noqa: BLE001  # the border of an attempt
            if (outcome := self._asked.pop(slot, None)) is not None:
                return outcome(claim)
            if isinstance(error, ChildDied):
                return crashed(claim, error, began)
            if isinstance(error, (ChildStartFailed, NotRunning)):
                return put_off(claim, error, began)
            return self._attempt.failed(claim, error, began)

    def _send(self, claim: Claim, slot: int) -> bytes:
        task = self._tasks[claim.task]
        errand = _encode(Errand(task.module, task.qualname, claim))
        return self._children.request(errand, label=claim.task, timeout=task.timeout, key=slot)


class _Found:
    """The one task of an errand, imported when the attempt asks for it: inside its border."""

    def __init__(self, errand: Errand) -> None:
        self._errand = errand

    def __getitem__(self, name: str) -> Task:
        found = _function(self._errand.module, self._errand.qualname)
        return Task(name, found, executor="process", retries=_MANY)


class _FoundCodec:
    """The codec of the task's own queue, found where the task is, once the attempt has begun.

    So registered types and signing keys come from the user's module, in the child as in the parent,
    and never cross the pipe. A bare function under that name leaves plain JSON.
    """

    def __init__(self, errand: Errand, limit_bytes: int) -> None:
        self._errand = errand
        self.limit_bytes = limit_bytes

    def _own(self) -> Codec:
        found = _found(self._errand.module, self._errand.qualname)
        own: Codec | None = getattr(found, "codec", None) if _is_task(found) else None
        return own or JsonCodec(self.limit_bytes)

    def decode_call(self, payload: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return `(args, kwargs)`, or raise `Undecodable`."""
        return self._own().decode_call(payload)

    def encode_result(self, value: object) -> bytes:
        """Return the text of a result, or raise `Unstorable`."""
        return self._own().encode_result(value)


@functools.cache
def _found(module: str, qualname: str) -> Any:
    found: Any = import_module(module)
    for name in qualname.split("."):
        found = getattr(found, name)
    return found


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
