"""Attempts in real child processes, for a test that asks for them."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from mainspring.engine.children.answer import answer
from mainspring.engine.children.attempt import ChildAttempt
from mainspring.processes.pool import ProcessPool
from mainspring.queue.binding import TEST_PROCESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mainspring.engine.attempts.attempt import Attempt, Tasks
    from mainspring.model.job import Claim, Outcome
    from mainspring.model.middleware import Middleware

END_SECONDS = 5.0


class RealChildren:
    """One child at a time. Its queues refuse to be used: they would find the real store."""

    def __init__(  # noqa: PLR0913  # as an attempt here
        self,
        attempt: Attempt,
        tasks: Tasks,
        limit_bytes: int,
        note: Callable[[int, int, int], None],
        on_note: Callable[[bytes], object],
        *,
        middleware: Sequence[Middleware],
    ) -> None:
        self._pool = ProcessPool(
            1, spare=0, handler=partial(answer, limit_bytes=limit_bytes), name="mainspring-test"
        )
        self._attempt = ChildAttempt(
            attempt, tasks, self._pool, note, on_note=on_note, middleware=middleware
        )
        self._marked = ExitStack()
        self._marked.enter_context(marked_children())

    def run(self, claim: Claim) -> Outcome:
        """Run a claim in a child; its timeout is in real time."""
        return self._attempt.run(claim, 0)

    def close(self) -> None:
        """End the child."""
        self._pool.close(0)
        self._pool.join(END_SECONDS)
        self._marked.close()


@contextmanager
def marked_children() -> Iterator[None]:
    """Have child processes that are started in the block know that this is a test."""
    before = os.environ.get(TEST_PROCESS)
    os.environ[TEST_PROCESS] = str(os.getpid())
    try:
        yield
    finally:
        del os.environ[TEST_PROCESS]
        if before is not None:
            os.environ[TEST_PROCESS] = before
