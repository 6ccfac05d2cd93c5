"""Lends the threads of a pool to workers, at one priority."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mainspring.supervision.threads.pool import PriorityThreadPool


class Borrower(Protocol):
    """Who may be lent a thread."""

    def turn(self) -> None:
        """Do what is due; in the thread that was lent."""
        ...

    def rise(self) -> None:
        """Look whether something is due, and do it; in the thread that was lent."""
        ...

    def refused(self, error: Exception) -> None:
        """Do without: there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Lender:
    """The threads of `pool`, at `priority`.

    It is the ring of its borrowers' alarms (see `alarms`), and any two of one pool and priority
    are equal: so those who sleep to one moment are queued together.
    """

    pool: PriorityThreadPool
    priority: int

    def lend(self, borrower: Borrower) -> None:
        """Queue the turn of a borrower; from any thread."""
        try:
            self.pool.execute(self.priority, borrower.turn)
        except Exception as error:  # noqa: BLE001  told to the borrower
            borrower.refused(error)

    def __call__(self, borrowers: Iterable[Borrower]) -> None:
        """Queue the looks of borrowers that slept to one moment."""
        try:
            self.pool.execute_many(self.priority, [one.rise for one in borrowers])
        except Exception as error:  # noqa: BLE001  told to the borrowers
            for one in borrowers:
                one.refused(error)
