"""The jobs of one call, on their way into a commit that others may share."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.job import NewJob
    from mainspring.stores.sqlite.intake.ordinary import Row


class Batch:
    """The jobs of one call, waiting for a commit.

    `rows` are ordinary ones; `jobs` have to be kept one by one. A batch has either.
    `baton` opens when its thread may go on: because the batch is settled, or because it `leads`.
    """

    __slots__ = ("baton", "error", "ids", "jobs", "leads", "rows")

    def __init__(self, rows: list[Row], jobs: Sequence[NewJob] = ()) -> None:
        self.rows = rows
        self.jobs = jobs
        self.ids: list[str] | None = None
        self.error: Exception | None = None
        self.leads = False
        self.baton = threading.Lock()
        self.baton.acquire()

    def settled(self) -> bool:
        """Whether a leader has done it."""
        return self.ids is not None or self.error is not None

    def answer(self) -> list[str]:
        """Return the ids, or raise what the commit failed of."""
        if self.error is not None:
            raise self.error
        return self.ids or []


def share(ids: list[str], group: list[Batch]) -> None:
    """Give each batch its ids."""
    start = 0
    for batch in group:
        batch.ids = ids[start : start + len(batch.rows)]
        start += len(batch.rows)
