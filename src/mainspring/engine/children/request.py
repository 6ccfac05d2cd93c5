"""The request to a child process, and its reply."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engine.attempts.attempt import Ruling
from mainspring.model.job import Claim
from mainspring.model.place import check_imported, importable_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mainspring.model.retry import RetryRules
    from mainspring.model.task import Task

Place = tuple[str, str]
"""Module and qualified name of a function or class: how a child finds it."""

Rules = tuple[tuple[Place, ...] | None, tuple[Place, ...]]
"""Where the classes are of `retry_on` (None: of all errors) and of `give_up_on`."""


class ChildRequest(msgspec.Struct, frozen=True):
    """A claim, with the places where the child finds the function and the classes of its rules.

    With no claim it is a warm-up: the child is to find them, and no more.
    """

    function: Place
    rules: Rules
    claim: Claim | None


encode = msgspec.msgpack.Encoder().encode
decode_errand = msgspec.msgpack.Decoder(ChildRequest).decode
decode_ruling = msgspec.msgpack.Decoder(Ruling).decode


def errand_of(claim: Claim, task: Task) -> ChildRequest:
    """Return what a child is to do for this claim of the task.

    Raises TaskNotImportable if a child would find another function than the task's.
    """
    check_imported(task.name, task.function)
    return ChildRequest((task.module, task.qualname), _told_rules(task.rules, task.function), claim)


def warm_up_of(task: Task) -> tuple[Place, bytes]:
    """Return what a child is to do before its first errand of the task, by the function's place."""
    return _warm_up((task.module, task.qualname), task.rules, task.function)


@functools.cache
def _warm_up(place: Place, rules: RetryRules, function: Callable[..., Any]) -> tuple[Place, bytes]:
    return place, encode(ChildRequest(place, _told_rules(rules, function), None))


@functools.cache
def _told_rules(rules: RetryRules, function: Callable[..., Any]) -> Rules:
    retry_on = None if rules.retry_on is None else _places_of(rules.retry_on, function)
    return retry_on, _places_of(rules.give_up_on, function)


def _places_of(kinds: Iterable[type], function: Callable[..., Any]) -> tuple[Place, ...]:
    return tuple((importable_module(kind, function), kind.__qualname__) for kind in kinds)
