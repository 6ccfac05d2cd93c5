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


def _until_ended() -> bool:
    return True


@dataclass(frozen=True, slots=True, eq=False)
class Wait:
    """A job that waits for another, and the kind of slot that it holds.

    `live()` is false once its attempt is over: a body that an exception has ended in the midst of
    its wait may leave this behind.
    """

    id: str
    task: str
    slots: str
    awaited: Awaited
    live: Callable[[], bool] = _until_ended


class Waits:
    """The waits of one worker; `size` says how many slots of a kind it has. Thread-safe.

    There is no lock, which a body that is interrupted could keep: each step is one of the
    interpreter's.
    """

    def __init__(self, size: Callable[[str], int]) -> None:
        self._size = size
        self._waits: dict[Wait, None] = {}

    def now(self) -> list[Wait]:
        """Return who waits for whom now, in the order in which they began to."""
        for wait in list(self._waits):
            if not wait.live():
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
        """Know of a wait, and warn if it leaves no slot to run what is waited for."""
        self._waits[wait] = None
        if wait.slots in self.stuck():
            _warn(wait, self._size(wait.slots))

    def end(self, wait: Wait) -> None:
        """Forget a wait; harmless for one that is forgotten."""
        self._waits.pop(wait, None)

    def forget(self, waiting_id: str) -> None:
        """Forget the waits of a job that has ended."""
        for one in self.now() if self._waits else ():
            if one.id == waiting_id:
                self._waits.pop(one, None)

    def stuck(self) -> set[str]:
        """Return the kinds of slot that all wait for jobs which only such slots run."""
        waits = self.now()
        waiting = {wait.id for wait in waits}
        blocked = [wait for wait in waits if wait.awaited.pending or wait.awaited.id in waiting]
        stuck = {wait.slots for wait in blocked}
        while free := {kind for kind in stuck if self._has_free(kind, blocked, stuck)}:
            stuck -= free
        return stuck

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
