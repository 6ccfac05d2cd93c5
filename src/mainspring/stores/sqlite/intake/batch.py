"""The jobs of one call, on their way into a commit that others may share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.stores.ownership import is_beneath, is_running

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from mainspring.model.job import NewJob
    from mainspring.stores.ownership import Signal
    from mainspring.stores.sqlite.intake.plain_jobs import Row


class Batch:
    """The jobs of one call, waiting for a commit.

    `rows` are ordinary ones; `jobs` have to be kept one by one. A batch has either.
    `frame` is that of the call, for others to see whether it goes on.
    `outcome` is the ids, or what the commit failed of; None until it is settled. `promised` is an
    outcome that is true if a transaction is committed, in which `mark` is inserted.
    """

    __slots__ = ("frame", "jobs", "mark", "outcome", "promised", "rows", "signal")

    def __init__(self, rows: list[Row], jobs: Sequence[NewJob] = ()) -> None:
        self.rows = rows
        self.jobs = jobs
        self.outcome: list[str] | Exception | None = None
        self.promised: list[str] | Exception | None = None
        self.mark: str | None = None
        self.frame: FrameType | None = None
        self.signal: Signal | None = None

    def left(self) -> bool:
        """Return whether its call is over, although it may not have said so."""
        frame = self.frame
        return frame is None or not is_running(frame)

    def is_beneath(self) -> bool:
        """Return whether this thread has interrupted its call by what it does now."""
        frame = self.frame
        return frame is not None and is_beneath(frame)

    def wake(self) -> None:
        """Have its thread look what has become of it."""
        if (signal := self.signal) is not None:
            signal.give()

    def answer(self) -> list[str]:
        """Return the ids, or raise what the commit failed of."""
        outcome = self.outcome
        if isinstance(outcome, Exception):
            raise outcome
        return outcome or []


def share(ids: list[str], group: list[Batch]) -> None:
    """Promise each batch its ids, true once the transaction is committed."""
    start = 0
    for batch in group:
        end = start + len(batch.rows)
        batch.mark, batch.promised = ids[start], ids[start:end]
        start = end


def settle(group: list[Batch]) -> None:
    """Mark the batches as committed."""
    for batch in group:
        batch.outcome = batch.promised
