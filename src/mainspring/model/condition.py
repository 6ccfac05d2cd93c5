"""Condition: how a consumer is at one moment, in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping


METRICS = "metrics"
"""In a node's report: it serves metrics, and is one of those that may tell the store's."""


class SlotCount(Value, frozen=True):
    """The slots of one kind: all of them, those with a body, and threads that were given up."""

    kind: str
    size: int
    busy: int
    abandoned: int


class Condition(Value, frozen=True):
    """The numbers of a consumer. `in_flight`: claims whose outcome is not recorded.

    `store_answers`: its last renewal was answered. `loop_lag`: seconds for which the loop of the
    coroutines kept a call waiting (None: there is no such loop). `restarts`: by name of service.
    """

    slots: tuple[SlotCount, ...]
    in_flight: int
    draining: bool
    store_answers: bool
    loop_lag: float | None
    restarts: Mapping[str, int]
