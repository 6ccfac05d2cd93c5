"""The request to a child process, and its reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from mainspring.engine.attempts.attempt import Decision
from mainspring.model.job import Claim
from mainspring.model.place import check_imported, found_under_name, importable_module

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

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


class TaskPlaces(NamedTuple):
    """The places where a child finds a task; `warm_up` is the request to import it first.

    `found` is what the function's name led to when they were made.
    """

    task: Task
    found: object
    function: Place
    rules: Rules
    around: Around
    warm_up: tuple[Hashable, bytes]


def places_of(task: Task, around: Around = NOTHING_AROUND) -> TaskPlaces:
    """Return the places of a task and of what is around its body.

    Raises TaskNotImportable if a child would find another function than the task's.
    """
    found = check_imported(task.name, task.function)
    function, rules = (task.module, task.qualname), _rule_places(task.rules, task.function)
    warm_up = function, encode(ChildRequest(function, rules, None, around))
    return TaskPlaces(task, found, function, rules, around, warm_up)


def is_current(places: TaskPlaces, task: Task) -> bool:
    """Return whether these are the places of that task, and its function's name leads there."""
    return places.task is task and found_under_name(task.function) is places.found


def request_of(claim: Claim, places: TaskPlaces) -> bytes:
    """Return the encoded request that has a child run this claim of the task."""
    return encode(ChildRequest(places.function, places.rules, claim, places.around))


def _rule_places(rules: RetryRules, function: Callable[..., Any]) -> Rules:
    retry_on = None if rules.retry_on is None else _kind_places(rules.retry_on, function)
    return retry_on, _kind_places(rules.give_up_on, function)


def _kind_places(kinds: Iterable[type], function: Callable[..., Any]) -> tuple[Place, ...]:
    return tuple((importable_module(kind, function), kind.__qualname__) for kind in kinds)
