"""Idempotency keys in memory, each with the id that it stands for. Knows nothing of jobs."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from mainspring.stores.rules.enqueue import IDEMPOTENT_SECONDS, idempotency_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.job import NewJob
    from mainspring.stores.clock import Moment

Until = tuple[int, str]
"""The stored time until which a key stands for a job, and the job's id."""


class MemoryAnswers:
    """Every key that is in use, in the order of their ends, so that the old ones go cheaply."""

    def __init__(self) -> None:
        self.by_key: dict[str, Until] = {}
        self.before: dict[str, Until | None] = {}
        """Keys as they stood before the change under way, if it uses them; None: for nothing."""

    def known(self, jobs: Sequence[NewJob], moment: Moment) -> dict[str, str]:
        """Return the ids that the idempotency keys of a batch stand for."""
        known = {key: self.by_key.get(key, (0, "")) for key in idempotency_keys(jobs)}
        return {key: job_id for key, (until, job_id) in known.items() if until > moment.micros}

    def remember(self, idempotency_key: str, job_id: str, moment: Moment) -> None:
        """Have a key stand for an id from now on."""
        self._note(idempotency_key)
        # Out first: the order is that of the ends.
        self.by_key.pop(idempotency_key, None)
        self.by_key[idempotency_key] = moment.after(IDEMPOTENT_SECONDS), job_id

    def adopt(self, idempotency_key: str, until: Until) -> None:
        """Have a key stand for an id of another store; call `sort` after the last."""
        if until[0] > self.by_key.get(idempotency_key, (0, ""))[0]:
            self._note(idempotency_key)
            self.by_key[idempotency_key] = until

    def sort(self) -> None:
        """Put the keys in the order of their ends."""
        self.by_key = dict(sorted(self.by_key.items(), key=end_of_answer))

    def forget(self, moment: Moment) -> None:
        """Drop keys that stand for nothing any more."""
        # Found in one pass: each look for the first one steps over all that went before it.
        old = list(
            takewhile(lambda item: end_of_answer(item) <= moment.micros, self.by_key.items())
        )
        for idempotency_key, _ in old:
            del self.by_key[idempotency_key]

    def undo(self) -> None:
        """Make everything as it was before the change; can be done again if interrupted."""
        answers = {**self.by_key, **self.before}
        kept = [(name, answer) for name, answer in answers.items() if answer is not None]
        self.by_key = dict(sorted(kept, key=end_of_answer))

    def _note(self, idempotency_key: str) -> None:
        self.before.setdefault(idempotency_key, self.by_key.get(idempotency_key))


def end_of_answer(item: tuple[str, Until]) -> int:
    """Return the stored time until which an idempotency key stands for a job."""
    return item[1][0]
