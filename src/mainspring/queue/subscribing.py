"""The options of a subscription, checked."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING

from mainspring.errors import InvalidOption
from mainspring.model.events import KINDS
from mainspring.model.hidden_names import HiddenNames
from mainspring.model.job_event import JOB_KINDS
from mainspring.model.name import is_name
from mainspring.model.signature import names_by_place

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mainspring.model.task import Registry
    from mainspring.protocols import Subscriber

ALL_KINDS = (*JOB_KINDS, *KINDS.values())


def check_subscriber(owner: str, subscriber: Subscriber) -> None:
    """Raise InvalidOption for what can't be called with an event."""
    call = getattr(subscriber, "__call__", None)  # noqa: B004  # it may be a coroutine function
    if not callable(subscriber) or iscoroutinefunction(subscriber) or iscoroutinefunction(call):
        expected = "a function that is called with an event, and is no coroutine function"
        raise InvalidOption("subscriber", subscriber, owner=owner, expected=expected)


def checked_kinds(owner: str, kinds: Sequence[str]) -> Sequence[str]:
    """Return kinds of events, all for none; raises InvalidOption."""
    for kind in kinds:
        if kind not in ALL_KINDS:
            raise InvalidOption(
                "kinds", kind, owner=owner, expected=f"some of {', '.join(ALL_KINDS)}"
            )
    return kinds or ALL_KINDS


def hidden_of(owner: str, redact: Collection[str], tasks: Registry) -> HiddenNames | None:
    """Return the names whose values are hidden, None for none; raises InvalidOption."""
    if isinstance(redact, str) or not all(map(is_name, redact)):
        expected = "names of arguments, as in ['password', 'token']"
        raise InvalidOption("redact", redact, owner=owner, expected=expected)

    def parameters(name: str) -> Sequence[str]:
        return names_by_place(tasks[name].function) if name in tasks else ()

    return HiddenNames(redact, parameters) if redact else None
