"""Entries about nodes that were lost: which one, where, and what became of the jobs it held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, ValidationError, json

from mainspring.model.counted import counted
from mainspring.model.printable import printable
from mainspring.model.value import Value

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mainspring.model.job import Rescued
    from mainspring.model.view import NodeRecord

LOST = "lost node"
"""The kind of its entries in the store."""

LOST_SECONDS = 86_400.0
"""Seconds for which a loss is shown, and kept."""

RECENT_SECONDS = 900.0
"""Seconds for which summaries tell of a loss."""

LONGEST_NAME = 200
MOST_JOBS = 2**53

Name = Annotated[str, Meta(max_length=LONGEST_NAME)]
Jobs = Annotated[int, Meta(ge=0, le=MOST_JOBS)]


class LossText(Struct, frozen=True):
    """An entry as it is written."""

    name: Name
    host: Name
    pid: int
    requeued: Jobs
    failed: Jobs
    cancelled: Jobs


class LostNode(Value, frozen=True):
    """A node that died, or let its lease run out; its jobs were rescued `at` a moment (aware UTC).

    `requeued` of them run again, `failed` have failed for good, `cancelled` had been asked to end.
    """

    at: datetime
    name: str
    host: str
    pid: int
    requeued: int
    failed: int
    cancelled: int

    @property
    def jobs(self) -> str:
        """Sentence of what became of its jobs."""
        parts = [f"{counted(self.requeued, 'job')} rescued"] if self.requeued else []
        parts += [f"{self.failed:,} failed for good"] if self.failed else []
        parts += [f"{self.cancelled:,} cancelled"] if self.cancelled else []
        return ", ".join(parts) or "it held no job"

    def __str__(self) -> str:
        where = f"{printable(self.name)} (process {self.pid} on {printable(self.host)})"
        return f"{where} was lost; {self.jobs}"


_decode = json.Decoder(LossText).decode


def loss_text(node: NodeRecord, rescued: Rescued) -> bytes:
    """Return the text of an entry."""
    name, host = printable(node.name)[:LONGEST_NAME], printable(node.host)[:LONGEST_NAME]
    counts = len(rescued.requeued), len(rescued.failed), len(rescued.cancelled)
    return json.encode(LossText(name, host, node.pid, *counts))


def lost_node(at: datetime, text: bytes) -> LostNode | None:
    """Return the loss that a text tells of; None of one that can't be read."""
    try:
        said = _decode(text)
    except (ValidationError, ValueError, RecursionError):
        return None
    counts = said.requeued, said.failed, said.cancelled
    return LostNode(at, said.name, said.host, said.pid, *counts)


def recently_lost(nodes: Sequence[LostNode], now: datetime) -> list[LostNode]:
    """Return those of the lost nodes that summaries still tell of."""
    return [node for node in nodes if (now - node.at).total_seconds() < RECENT_SECONDS]
