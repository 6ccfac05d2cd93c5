"""The claiming half of an exchange: feel the pulse, and give a node what it wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from mainspring.errors import LeaseLost
from mainspring.model.job import Claim  # the type of a Struct's field
from mainspring.stores.sqlite.catalog.queues import paused
from mainspring.stores.sqlite.claims.line import (
    Waiting,
    claim,
    claim_of,
    held_rows,
    promote,
    rows_in,
    take,
    too_many_suspects,
)
from mainspring.stores.sqlite.claims.look import NO_LOOK, Look, look_at
from mainspring.stores.sqlite.nodes import LIVE, name_of
from mainspring.stores.sqlite.rows.lanes import LAST_LANE

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from mainspring.model.job import Want
    from mainspring.stores.clock import Moment
    from mainspring.stores.sqlite.rows.lanes import Lanes

PULSE = """
SELECT
  (SELECT lease_until > ? FROM nodes WHERE node = ? AND ended_at IS NULL),
  {last_lane},
  EXISTS (SELECT 1 FROM jobs INDEXED BY scheduled WHERE state = 1),
  EXISTS (SELECT 1 FROM paused)
""".replace("{last_lane}", LAST_LANE)


class Given(Struct, frozen=True, gc=False):
    """The claiming half of an answer; see `Exchanged`."""

    claims: list[Claim]
    next_due: float | None = None
    lapsed: bool = False


class Pulse(Struct, frozen=True, gc=False):
    """What an exchange meets: delayed jobs, new lanes, paused queues, and what the look showed.

    That is None where it can't be read.
    """

    lapsed: bool
    delayed: bool
    changed: bool
    paused: tuple[str, ...]
    first: list[Waiting] | None

    @property
    def held_up(self) -> bool:
        """Whether the look may have shown too little, or too much."""
        return self.delayed or self.changed or bool(self.paused) or self.first is None

    def shows_all_for(self, wants: Sequence[Want]) -> bool:
        """Whether what the look showed is what the wants are to be given."""
        if self.held_up or len(wants) != 1:
            return False
        return not too_many_suspects(self.first or [], wants[0].suspects)


def claim_for(
    connection: sqlite3.Connection,
    node: int,
    wants: Sequence[Want],
    *,
    lanes: Lanes,
    moment: Moment,
) -> Given:
    """Return what a node is given. Raises `LeaseLost` for a node that has gone."""
    look = look_for(lanes, wants, moment)
    pulse = feel_pulse(connection, node, look, lanes, moment)
    if pulse.lapsed:
        return Given([], lapsed=True)
    if look.whole and pulse.shows_all_for(wants):
        rows = take(connection, node, pulse.first or [], moment)
        return Given([claim_of(row, lanes) for row in rows])
    return claim_each(connection, node, wants, lanes=lanes, moment=moment, pulse=pulse)


def held_claims(
    connection: sqlite3.Connection, node: int, *, lanes: Lanes, moment: Moment
) -> list[Claim]:
    """Return the claims that a node holds. Raises `LeaseLost` for a node that has gone."""
    if connection.execute(LIVE, (node,)).fetchone() is None:
        raise LeaseLost(name_of(connection, node))
    lanes.learn(connection)
    return [claim_of(row, lanes) for row in held_rows(connection, node, moment)]


def look_for(lanes: Lanes, wants: Sequence[Want], moment: Moment) -> Look:
    """Return the look that shows all that can be claimed; an empty one if none does."""
    if len(wants) != 1:
        return NO_LOOK
    return look_at(lanes.matching(wants[0]), wants[0].limit, moment)


def feel_pulse(
    connection: sqlite3.Connection, node: int, look: Look, lanes: Lanes, moment: Moment
) -> Pulse:
    """Refuse a node that has gone, learn of new lanes, and look.

    Pulse and look are one statement, since each costs 20 µs.
    """
    asked = (moment.micros, node, *look.parameters)
    row = connection.execute(look.behind(PULSE), asked).fetchone()
    leased, last_lane, delayed, any_paused, first = row
    if leased is None:
        raise LeaseLost(name_of(connection, node))
    changed = not lanes.up_to(last_lane)
    if changed:
        lanes.learn(connection)
    return Pulse(
        lapsed=not leased,
        delayed=bool(delayed),
        changed=changed,
        paused=tuple(paused(connection)) if any_paused else (),
        first=rows_in(first or ""),
    )


def claim_each(  # noqa: PLR0913  # as above, and the pulse
    connection: sqlite3.Connection,
    node: int,
    wants: Sequence[Want],
    *,
    lanes: Lanes,
    moment: Moment,
    pulse: Pulse,
) -> Given:
    """Claim for one want after the other, delayed jobs that are due among the rest."""
    matching = [(want, lanes.matching(want, pulse.paused)) for want in wants]
    next_due = None
    if pulse.delayed:
        every = sorted({lane for _, some in matching for lane in some})
        next_due = promote(connection, every, moment)
    rows = [
        row
        for want, some in matching
        for row in claim(connection, node, lanes=some, want=want, moment=moment)
    ]
    return Given([claim_of(row, lanes) for row in rows], next_due)
