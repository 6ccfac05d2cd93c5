"""Instrumentation of queues: code around each enqueuing, and middleware, on one queue or on all."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from mainspring.model.sending import Sending

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mainspring.model.job import NewJob
    from mainspring.model.sending import Sender


@contextmanager
def sending(senders: Sequence[Sender], jobs: Sequence[NewJob]) -> Iterator[Sending]:
    """Return a block in which these jobs are enqueued, within all senders."""
    one = Sending(jobs)
    with ExitStack() as stack:
        for sender in tuple(senders):
            stack.enter_context(sender(one))
        yield one
