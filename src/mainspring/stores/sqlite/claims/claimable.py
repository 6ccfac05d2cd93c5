"""The first jobs in line as one more column of another statement, which saves a step."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from mainspring.stores.sqlite.claims.claim_sql import MOST_CLAIMS, MOST_LANES, first_in_line_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.stores.clock import Moment


class Claimable(Struct, frozen=True):
    """The first jobs of so many lanes; `parameters` are those of `FIRST_IN_LINE`.

    One of no lanes adds a NULL.
    """

    lanes: int = 0
    parameters: tuple[int, ...] = ()

    @property
    def whole(self) -> bool:
        """True if it shows all that may be claimed."""
        return self.lanes > 0

    def behind(self, statement: str) -> str:
        """Return the statement with these jobs as its last column."""
        return with_claimable(statement, self.lanes)


NOT_READ = Claimable()


def claimable_in(lanes: Sequence[int], limit: int, moment: Moment) -> Claimable:
    """Return the first jobs of these lanes; `NOT_READ` where one statement can't show so many."""
    if not 0 < len(lanes) <= MOST_LANES or limit > MOST_CLAIMS:
        return NOT_READ
    return Claimable(len(lanes), (moment.micros, *lanes, limit))


@cache
def with_claimable(statement: str, lanes: int) -> str:
    """Return the statement, a SELECT without FROM, with the first of so many lanes behind it."""
    claimable = f"({first_in_line_of(lanes)})" if lanes else "NULL"
    return f"{statement.rstrip()},\n  {claimable}"
