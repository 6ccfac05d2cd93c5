"""A sending: new jobs on their way to the store, as instrumentation sees them."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mainspring.model.job_options import with_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from mainspring.model.job import NewJob

    Sender = Callable[["Sending"], AbstractContextManager[object]]


class Sending:
    """The `jobs` of one enqueuing, and their `ids` once the store has them."""

    __slots__ = ("ids", "jobs")

    def __init__(self, jobs: Sequence[NewJob]) -> None:
        self.jobs = jobs
        self.ids: Sequence[str] = ()

    def add_headers(self, headers: Mapping[str, str]) -> None:
        """Send these texts along with each job: its attempts find them in `headers`."""
        self.jobs = [replace(job, options=with_headers(job.options, headers)) for job in self.jobs]


@contextmanager
def sending(senders: Sequence[Sender], jobs: Sequence[NewJob]) -> Iterator[Sending]:
    """Return a block in which these jobs are enqueued, within all senders."""
    one = Sending(jobs)
    with ExitStack() as stack:
        for sender in tuple(senders):
            stack.enter_context(sender(one))
        yield one
