"""Bodies that wait for other jobs: a warning when nobody here is left to run what they wait for.

Two jobs on two slots that each wait for a job which only such slots run would wait for ever, and
nothing would say so.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mainspring.engine.attempts.running import Awaited

log = logging.getLogger("mainspring.engine")


MOST_BODIES = 64
"""Bodies that have waited and are kept in mind before it is looked which of them have ended."""

Body = tuple[str, int]
"""Id and fence of the job that waits."""


def _until_ended() -> bool:
    return True


@dataclass(frozen=True, slots=True, eq=False)
class Wait:
    """A job that waits for another, and the kind of slot that it holds.

    `live()` is false once its attempt is over: a body that an exception has ended in the midst of
    its wait may leave this behind. `fence` tells attempts of one job apart.
    """

    id: str
    task: str
    slots: str
    awaited: Awaited
    live: Callable[[], bool] = _until_ended
    fence: int = 0

    @property
    def body(self) -> Body:
        """The body that waits, perhaps for many jobs at once."""
        return self.id, self.fence


class Waits:
    """The waits of one worker; `size` says how many slots of a kind it has. Thread-safe.

    There is no lock, which a body that is interrupted could keep: each step is one of the
    interpreter's.
    """

    def __init__(self, size: Callable[[str], int]) -> None:
        self._size = size
        self._waits: dict[Wait, None] = {}
        self._bodies: dict[Body, Wait] = {}
        """The last wait of each body, which may be over while the body lives.

        A body may wait for thousands of jobs: what each wait asks is asked of the bodies.
        """
        self._warned: dict[Wait, None] = {}
        self._most_bodies = MOST_BODIES

    def now(self) -> list[Wait]:
        """Return who waits for whom now, in the order in which they began to."""
        for body, last in list(self._bodies.items()):
            if not last.live():
                self._bodies.pop(body, None)
        for wait in list(self._waits):
            if wait.body not in self._bodies:
                self.end(wait)
        return list(self._waits)

    @contextmanager
    def noted(self, wait: Wait) -> Iterator[None]:
        """Know of a wait for as long as the block lasts."""
        self.begin(wait)
        try:
            yield
        finally:
            self.end(wait)

    def begin(self, wait: Wait) -> None:
        """Know of a wait, and warn if it leaves no slot to run what is waited for.

        Of a body that waits for many jobs at once the first such wait tells.
        """
        before = self._bodies.get(wait.body)
        self._bodies[wait.body] = wait  # first: no wait is without its body
        self._waits[wait] = None
        if len(self._bodies) > self._most_bodies:
            self.now()
            self._most_bodies = MOST_BODIES + 2 * len(self._bodies)
        if before in self._warned:
            self._warned[wait] = None
        elif self._may_be_stuck(wait) and wait.slots in self.stuck():
            self._warned[wait] = None
            _warn(wait, self._size(wait.slots))

    def end(self, wait: Wait) -> None:
        """Forget a wait; harmless for one that is forgotten."""
        self._waits.pop(wait, None)
        self._warned.pop(wait, None)

    def forget(self, waiting_id: str) -> None:
        """Forget the waits of a job that has ended, of one that has no fences."""
        if self._bodies.pop((waiting_id, 0), None) is not None:
            self.now()

    def stuck(self) -> set[str]:
        """Return the kinds of slot that all wait for jobs which only such slots run."""
        waits = self.now()
        waiting = {wait.id for wait in waits}
        blocked = [wait for wait in waits if wait.awaited.pending or wait.awaited.id in waiting]
        stuck = {wait.slots for wait in blocked}
        while free := {kind for kind in stuck if self._has_free(kind, blocked, stuck)}:
            stuck -= free
        return stuck

    def _may_be_stuck(self, wait: Wait) -> bool:
        """Return False where a new wait takes no slot that others need, without asking all."""
        bodies, others = list(self._bodies.values()), wait.awaited.slots
        blocked = wait.awaited.pending or any(one.id == wait.awaited.id for one in bodies)
        if others is None or not blocked:
            return False
        kinds = [one.slots for one in bodies]
        return all(kinds.count(kind) >= self._size(kind) for kind in {wait.slots, others})

    def _has_free(self, kind: str, blocked: list[Wait], stuck: set[str]) -> bool:
        held = [one for one in blocked if one.slots == kind and one.awaited.slots in stuck]
        # One body may wait for several jobs at once.
        return len({one.id for one in held}) < self._size(kind)


def _warn(wait: Wait, size: int) -> None:
    log.warning(
        "job %s (%s) waits for job %s (%s), and so do all %d slots (%s) that could run it here: "
        "without another worker they wait for ever. Give more slots, or let the job end and have "
        "the other one do what follows",
        wait.id,
        wait.task,
        wait.awaited.id,
        wait.awaited.task,
        size,
        wait.slots,
    )
