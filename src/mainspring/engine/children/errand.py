"""What goes over to a child process, and what comes back."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import msgspec

from mainspring.engine.attempts.attempt import Ruling
from mainspring.model.job import Claim
from mainspring.model.task import importable_module

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mainspring.model.retry import RetryRules
    from mainspring.model.task import Task

Place = tuple[str, str]
"""Module and qualified name of a function or class: how a child finds it."""

Rules = tuple[tuple[Place, ...] | None, tuple[Place, ...]]
"""Where the classes are of `retry_on` (None: of all errors) and of `give_up_on`."""


class Errand(msgspec.Struct, frozen=True):
    """A claim, with the places where the child finds the function and the classes of its rules."""

    function: Place
    rules: Rules
    claim: Claim


encode = msgspec.msgpack.Encoder().encode
decode_errand = msgspec.msgpack.Decoder(Errand).decode
decode_ruling = msgspec.msgpack.Decoder(Ruling).decode


def errand_of(claim: Claim, task: Task) -> Errand:
    """Return what a child is to do for this claim of the task."""
    return Errand((task.module, task.qualname), _told_rules(task.rules), claim)


@functools.cache
def _told_rules(rules: RetryRules) -> Rules:
    retry_on = None if rules.retry_on is None else _places_of(rules.retry_on)
    return retry_on, _places_of(rules.give_up_on)


def _places_of(kinds: Iterable[type]) -> tuple[Place, ...]:
    return tuple((importable_module(kind), kind.__qualname__) for kind in kinds)
