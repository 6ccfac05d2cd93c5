"""The claiming half of an exchange: read the node's state, and give the node what it wants."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from msgspec import Struct

from mainspring.errors import LeaseLost
from mainspring.model.job import Claim, Exchanged  # the first is the type of a Struct's field
from mainspring.stores.sqlite.catalog.queues import paused
from mainspring.stores.sqlite.claims.claim_sql import (
    Waiting,
    claim,
    claims_of,
    first_due,
    first_in_line,
    held_rows,
    promote,
    rows_in,
    take,
    too_many_suspects,
)
from mainspring.stores.sqlite.claims.claimable import NOT_READ, Claimable, claimable_in
from mainspring.stores.sqlite.nodes import LIVE, name_of
from mainspring.stores.sqlite.rows.lanes import LAST_LANE, learn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.model.job import Want
    from mainspring.stores.clock import Moment
    from mainspring.stores.sql.lanes import KnownLanes

STATE = """
SELECT
  (SELECT lease_until > ? FROM mainspring_nodes WHERE node = ? AND ended_at IS NULL),
  {last_lane},
  EXISTS (SELECT 1 FROM mainspring_jobs INDEXED BY mainspring_scheduled WHERE state = 1),
  EXISTS (SELECT 1 FROM mainspring_paused)
""".replace("{last_lane}", LAST_LANE)


class ClaimedJobs(Struct, frozen=True, gc=False):
    """The claiming half of an answer; see `Exchanged`."""

    claims: list[Claim]
    next_due: float | None = None
    lapsed: bool = False


class NodeState(Struct, frozen=True, gc=False):
    """The lease of a node, delayed jobs, new lanes, paused queues, and the first jobs in line.

    `first` is None where it can't be read.
    """

    lapsed: bool
    delayed: bool
    changed: bool
    paused: tuple[str, ...]
    first: list[Waiting] | None

    @property
    def blocked(self) -> bool:
        """True if `first` may hold too little, or too much."""
        return self.delayed or self.changed or bool(self.paused) or self.first is None

    def shows_all_for(self, wants: Sequence[Want]) -> bool:
        """Return whether `first` is what the wants are to be given."""
        if self.blocked or len(wants) != 1:
            return False
        return not too_many_suspects(self.first or [], wants[0].suspects)


def claim_for(
    connection: sqlite3.Connection,
    node: int,
    wants: Sequence[Want],
    *,
    lanes: KnownLanes,
    moment: Moment,
) -> ClaimedJobs:
    """Assign a node the jobs it wants. Raises `LeaseLost` for a node that has gone."""
    claimable = claimable_for(lanes, wants, moment)
    state = read_state(connection, node, claimable, lanes, moment)
    if state.lapsed:
        return ClaimedJobs([], lapsed=True)
    if claimable.whole and state.shows_all_for(wants):
        rows = take(connection, node, state.first or [], moment)
        return ClaimedJobs(claims_of(connection, rows, lanes, moment))
    return claim_each(connection, node, wants, lanes=lanes, moment=moment, state=state)


def empty_answer_for(
    connection: sqlite3.Connection,
    node: int,
    wants: Sequence[Want],
    *,
    lanes: KnownLanes,
    moment: Moment,
) -> Exchanged | None:
    """Return the answer to a claim if that gives nothing, else None; only reads.

    An idle node so takes no write lock. Raises `LeaseLost` for a node that has gone.
    """
    claimable = claimable_for(lanes, wants, moment)
    state = read_state(connection, node, claimable, lanes, moment)
    if state.lapsed:
        return Exchanged([], [], lapsed=True)
    if claimable.whole and not state.blocked:
        return None if state.first else Exchanged([], [])
    every = wanted_lanes(wants, lanes, state)
    next_due = first_due(connection, every, moment) if state.delayed else None
    if next_due == 0.0 or (every and first_in_line(connection, every, 1, moment)):
        return None
    return Exchanged([], [], next_due)


def wanted_lanes(wants: Sequence[Want], lanes: KnownLanes, state: NodeState) -> list[int]:
    """Return the lanes of all wants, but for those of paused queues, in order."""
    return sorted({lane for want in wants for lane in lanes.matching(want, state.paused)})


def held(
    connection: sqlite3.Connection, node: int, *, lanes: KnownLanes, moment: Moment
) -> list[Claim]:
    """Return the claims that a node holds. Raises `LeaseLost` for a node that has gone."""
    if connection.execute(LIVE, (node,)).fetchone() is None:
        raise LeaseLost(name_of(connection, node))
    learn(connection, lanes)
    return claims_of(connection, held_rows(connection, node, moment), lanes, moment)


def claimable_for(lanes: KnownLanes, wants: Sequence[Want], moment: Moment) -> Claimable:
    """Return the first jobs for the wants; `NOT_READ` if one statement can't show them."""
    if len(wants) != 1:
        return NOT_READ
    return claimable_in(lanes.matching(wants[0]), wants[0].limit, moment)


def read_state(
    connection: sqlite3.Connection,
    node: int,
    claimable: Claimable,
    lanes: KnownLanes,
    moment: Moment,
) -> NodeState:
    """Read the state of a node and the first jobs in line, and learn of new lanes.

    One statement, since each costs 20 µs. Raises `LeaseLost` for a node that has gone.
    """
    asked = (moment.micros, node, *claimable.parameters)
    try:
        *state, text = connection.execute(claimable.behind(STATE), asked).fetchone()
        first = rows_in(text or "")
    except sqlite3.DataError:  # the first jobs together are too long for one text
        *state, _ = connection.execute(NOT_READ.behind(STATE), asked[:2]).fetchone()
        first = None
    leased, last_lane, delayed, any_paused = state
    if leased is None:
        raise LeaseLost(name_of(connection, node))
    changed = not lanes.up_to(last_lane)
    if changed:
        learn(connection, lanes)
    return NodeState(
        lapsed=not leased,
        delayed=bool(delayed),
        changed=changed,
        paused=tuple(paused(connection)) if any_paused else (),
        first=first,
    )


def claim_each(  # noqa: PLR0913  # as above, and the state
    connection: sqlite3.Connection,
    node: int,
    wants: Sequence[Want],
    *,
    lanes: KnownLanes,
    moment: Moment,
    state: NodeState,
) -> ClaimedJobs:
    """Claim for one want after the other, delayed jobs that are due among the rest."""
    next_due = None
    if state.delayed:
        next_due = promote(connection, wanted_lanes(wants, lanes, state), moment)
    rows = [
        row
        for want in wants
        for row in claim(
            connection, node, lanes=lanes.matching(want, state.paused), want=want, moment=moment
        )
    ]
    return ClaimedJobs(claims_of(connection, rows, lanes, moment), next_due)
