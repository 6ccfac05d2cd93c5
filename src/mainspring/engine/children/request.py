"""The request to a child process, and its reply."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from mainspring.engine.attempts.attempt import Decision
from mainspring.model.job import Claim
from mainspring.model.place import check_imported, importable_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mainspring.model.middleware import Middleware
    from mainspring.model.retry import RetryRules
    from mainspring.model.task import Task

Place = tuple[str, str]
"""Module and qualified name of a function or class: how a child finds it."""

Rules = tuple[tuple[Place, ...] | None, tuple[Place, ...]]
"""Places of the classes of `retry_on` (None: all errors) and of `give_up_on`."""


class Around(NamedTuple):
    """Places of middleware, outermost first, and of resources by the parameter that gets them."""

    middleware: tuple[Place, ...] = ()
    resources: tuple[tuple[str, Place], ...] = ()


NOTHING_AROUND = Around()


class ChildRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A claim, with the places where the child finds the function and the classes of its rules.

    And those of what is around its body. With no claim it is a warm-up: the child is to find them,
    and no more.
    """

    function: Place
    rules: Rules
    claim: Claim | None
    around: Around = NOTHING_AROUND


encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(ChildRequest).decode
decode_decision = msgspec.msgpack.Decoder(Decision).decode


def around(middleware: Sequence[Middleware], task: Task) -> Around:
    """Return the places where a child finds what is around the body of a task."""
    if not (middleware or task.injected):
        return NOTHING_AROUND
    return Around(
        tuple((one.module, one.qualname) for one in middleware),
        tuple((name, (one.module, one.qualname)) for name, one in task.injected.items()),
    )


def request_of(claim: Claim, task: Task, places: Around = NOTHING_AROUND) -> ChildRequest:
    """Return the request that has a child run this claim of the task.

    Raises TaskNotImportable if a child would find another function than the task's.
    """
    check_imported(task.name, task.function)
    rules = _rule_places(task.rules, task.function)
    return ChildRequest((task.module, task.qualname), rules, claim, places)


def warm_up_of(task: Task, places: Around = NOTHING_AROUND) -> tuple[Place, bytes]:
    """Return the request to import a task before its first run, by the function's place."""
    return _warm_up((task.module, task.qualname), task.rules, task.function, places)


@functools.cache
def _warm_up(
    place: Place, rules: RetryRules, function: Callable[..., Any], places: Around
) -> tuple[Place, bytes]:
    return place, encode(ChildRequest(place, _rule_places(rules, function), None, places))


@functools.cache
def _rule_places(rules: RetryRules, function: Callable[..., Any]) -> Rules:
    retry_on = None if rules.retry_on is None else _kind_places(rules.retry_on, function)
    return retry_on, _kind_places(rules.give_up_on, function)


def _kind_places(kinds: Iterable[type], function: Callable[..., Any]) -> tuple[Place, ...]:
    return tuple((importable_module(kind, function), kind.__qualname__) for kind in kinds)
