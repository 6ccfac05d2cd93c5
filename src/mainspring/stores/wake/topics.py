"""The topics of a store: `ready` (work to claim), `ended` (jobs), `orders` (cancel), `locks`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mainspring.model.job import FINAL, OUTCOME_STEP, TRANSITIONS, JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.job import Outcome

READY = "ready"
ENDED = "ended"
ORDERS = "orders"
LOCKS = "locks"
TOPICS = (READY, ENDED, ORDERS, LOCKS)

_KEYS = re.compile(r"[0-9]{1,19}(,[0-9]{1,19})*")

FINAL_KINDS = frozenset(
    kind for kind, step in OUTCOME_STEP.items() if TRANSITIONS[JobState.RUNNING, step] in FINAL
)


def keys_told(text: str) -> list[int]:
    """Return the keys that the notice of a server tells; none, which is any job, of another text.

    Whoever may use the server may send one.
    """
    return [int(key) for key in text.split(",")] if _KEYS.fullmatch(text) else []


def notices_of(outcomes: Sequence[Outcome], accepted: Sequence[bool]) -> dict[str, list[int]]:
    """Return the topics to notify when outcomes have been recorded, with keys (none: any).

    An outcome that sends its job back notifies ENDED as well: it may turn out to be final, for a
    job that was asked to be cancelled.
    """
    taken = [one for one, is_taken in zip(outcomes, accepted, strict=True) if is_taken]
    if not taken:
        return {}
    keys = [one.key for one in taken]
    return {ENDED: keys} if ends_only(taken) else {READY: [], ENDED: keys}


def ends_only(outcomes: Sequence[Outcome]) -> bool:
    """Return whether all outcomes end their jobs."""
    return FINAL_KINDS.issuperset([one.kind for one in outcomes])
