"""A job for a body that a test calls by hand: `current_job` works in it, and nothing is stored."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from mainspring.engine.attempts.running import host, running
from mainspring.engine.journal.buffer import NoteBuffer, note_buffer
from mainspring.errors import InvalidOption
from mainspring.model.job import Claim
from mainspring.model.job_options import JobOptions, encode_options, own_options
from mainspring.model.number import is_whole

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from contextlib import AbstractContextManager
    from contextvars import ContextVar

    from mainspring.engine.attempts.running import Awaited
    from mainspring.queue.queue_task import QueueTask


class FakeJob:
    """The body's job, and its worker: to be told what the body finds, and asked what it has said.

    `cancel()` makes `current_job.check_cancelled` raise from then on, `request_shutdown()` sets
    `shutdown_requested`. `completed_in` holds the connection and result of `complete_in`.
    """

    def __init__(self, claim: Claim, *, cancelled: bool) -> None:
        self.id = claim.id
        self.task = claim.task
        self.attempt = claim.attempt
        self.completed_in: tuple[Any, object] | None = None
        self.stopping = False
        self._claim = claim
        self._cancelled = cancelled
        self._notes = NoteBuffer((claim.key, claim.fence), _keep)

    @property
    def progress(self) -> float:
        """Progress that the body has reported last, from 0 to 1."""
        return self._notes.last or 0.0

    @property
    def message(self) -> str:
        """Message that the body has reported along with its progress."""
        return self._notes.message or ""

    @property
    def log(self) -> list[str]:
        """Lines that the body has logged; oldest first."""
        return [text for _, text in self._notes.lines or ()]

    def cancel(self) -> None:
        """Have `current_job.check_cancelled` raise JobCancelled from now on."""
        self._cancelled = True

    def request_shutdown(self) -> None:
        """Have `current_job.shutdown_requested` be true from now on."""
        self.stopping = True

    def holds(self, claim: Claim) -> bool:  # noqa: ARG002  # the seam's signature
        """Return whether the attempt counts."""
        return not self._cancelled

    def complete_in(self, claim: Claim, connection: Any, result: object) -> None:  # noqa: ARG002  # as above
        """Keep what the job was completed with."""
        self.completed_in = connection, result

    def waits(self, claim: Claim, awaited: Awaited) -> AbstractContextManager[None]:  # noqa: ARG002  # as above
        """Return a block like any other."""
        return nullcontext()

    @contextmanager
    def runs(self) -> Iterator[FakeJob]:
        """Make the calling code its body during the block."""
        with ExitStack() as block:
            block.enter_context(_set(host, self))
            block.enter_context(_set(running, self._claim))
            block.enter_context(_set(note_buffer, self._notes))
            yield self


def fake_job(  # noqa: PLR0913  # the fields of a job
    task: QueueTask[..., Any, Any] | str = "fake.task",
    *,
    id: str = "1-00000000",  # noqa: A002  # the field's name
    queue: str = "default",
    attempt: int = 1,
    crashes: int = 0,
    cancelled: bool = False,
    tags: Collection[str] = (),
    metadata: Mapping[str, Any] | None = None,
) -> AbstractContextManager[FakeJob]:
    """Return a block in which the calling code is the body of a job: for a body called by hand.

    `attempt`: which one it is, from 1. `crashes`: the workers that it has cost. `cancelled`:
    `current_job.check_cancelled` raises. `tags` and `metadata` are the job's. Also in coroutines
    that are awaited in the block.
    """
    if not (is_whole(attempt) and attempt >= 1):
        expected = "a whole number from 1"
        raise InvalidOption("attempt", attempt, owner="fake_job()", expected=expected)
    own = own_options("fake_job()", {"tags": tags, "metadata": dict(metadata or {})})
    name = task if isinstance(task, str) else task.name
    claim = Claim(
        key=1,
        id=id,
        fence=attempt,
        task=name,
        queue=queue,
        payload=b"",
        attempt=attempt,
        crashes=crashes,
        options=encode_options(JobOptions(**own)),
    )
    return FakeJob(claim, cancelled=cancelled).runs()


@contextmanager
def _set(variable: ContextVar[Any], value: object) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def _keep(notes: NoteBuffer) -> None:
    """Do nothing: they are read where they are."""
