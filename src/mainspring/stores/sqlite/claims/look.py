"""A look at the line as one more column of another statement: a step of SQLite saved a claim."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from mainspring.stores.sqlite.claims.line import MOST_CLAIMS, MOST_LANES, first_in_line_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.stores.clock import Moment


class Look(Struct, frozen=True):
    """The first jobs of so many lanes; `parameters` are those of `FIRST_IN_LINE`.

    One of no lanes adds a NULL.
    """

    lanes: int = 0
    parameters: tuple[int, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether it shows all that may be claimed."""
        return self.lanes > 0

    def behind(self, statement: str) -> str:
        """Return the statement with the look as its last column."""
        return with_look(statement, self.lanes)


NO_LOOK = Look()


def look_at(lanes: Sequence[int], limit: int, moment: Moment) -> Look:
    """Return the look at these lanes; none where one statement can't show so much."""
    if not 0 < len(lanes) <= MOST_LANES or limit > MOST_CLAIMS:
        return NO_LOOK
    return Look(len(lanes), (moment.micros, *lanes, limit))


@cache
def with_look(statement: str, lanes: int) -> str:
    """Return the statement, a SELECT without FROM, with the first of so many lanes behind it."""
    look = f"({first_in_line_of(lanes)})" if lanes else "NULL"
    return f"{statement.rstrip()},\n  {look}"
