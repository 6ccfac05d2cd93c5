"""Errors of bodies that nobody in the test has seen yet."""

from __future__ import annotations

from asyncio import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from mainspring.model.control_flow import Retry
from mainspring.model.events import AttemptsEnded
from mainspring.model.job import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.model.events import Event
    from mainspring.model.job import Claim, Outcome

    Kinds = type[BaseException] | tuple[type[BaseException], ...]


OF_BODIES = (Exception, SystemExit, CancelledError)
"""Errors that a body may end of. What else comes from it ends the test, as pytest.skip() does."""


class UnseenError(NamedTuple):
    """An error of a job; `is_final`: the job has failed of it, else it waits for a retry."""

    claim: Claim
    error: BaseException
    is_final: bool


class UnseenErrors:
    """Keeps the last error of each job, until it is raised or looked at.

    `error_of` returns what an attempt raised, or what a caller would get in its stead. A Retry that
    a body asked for is no error.
    """

    def __init__(
        self, error_of: Callable[[Claim, Outcome], BaseException], suppress: Kinds
    ) -> None:
        self._error_of = error_of
        self._suppress = suppress
        self._unseen: dict[int, UnseenError] = {}
        self.last: Claim | None = None

    def note(self, event: Event) -> None:
        """Note the attempts that have ended."""
        if isinstance(event, AttemptsEnded):
            for claim, outcome in event.ended:
                self._note(claim, outcome)

    def _note(self, claim: Claim, outcome: Outcome) -> None:
        if outcome.kind is OutcomeKind.RELEASED:
            return
        self.last = claim
        self._unseen.pop(claim.key, None)
        if outcome.kind in (OutcomeKind.FAILED, OutcomeKind.RETRY):
            error = self._error_of(claim, outcome)
            is_final = outcome.kind is OutcomeKind.FAILED
            if isinstance(error, OF_BODIES) and (is_final or not isinstance(error, Retry)):
                self._unseen[claim.key] = UnseenError(claim, error, is_final)

    def see(self, key: int) -> None:
        """Note that somebody has looked at how a job ended."""
        self._unseen.pop(key, None)

    def take_final(self, suppress: Kinds) -> BaseException | None:
        """Return the first error of a job that has failed, but for those suppressed; forget all."""
        found = [one for one in self._take(suppress) if one.is_final]
        if not found:
            return None
        self._unseen = {key: one for key, one in self._unseen.items() if not one.is_final}
        return _with_others(found)

    def take_any(self) -> BaseException | None:
        """Return the first error, at the end of the test: no retry will come."""
        found = self._take(())
        self._unseen = {}
        if not found:
            return None
        error = _with_others(found)
        if not found[0].is_final:
            _note(
                error,
                f"mainspring: job {found[0].claim.id} ({found[0].claim.task}) waited for its next "
                "attempt after this when the block ended; run it with run(hours=1), or say that "
                f"the error is expected: run(suppress={type(error).__name__})",
            )
        return error

    def _take(self, suppress: Kinds) -> list[UnseenError]:
        """Forget what is suppressed, and return the rest."""
        for key, one in list(self._unseen.items()):
            if is_of(one.error, suppress) or is_of(one.error, self._suppress):
                del self._unseen[key]
        return list(self._unseen.values())


def is_of(error: BaseException, kinds: Kinds) -> bool:
    """Return whether an error, or what it was raised from, is one of those."""
    return isinstance(error, kinds) or isinstance(error.__cause__, kinds)


def _with_others(found: list[UnseenError]) -> BaseException:
    error = found[0].error
    if len(found) > 1:
        others = ", ".join(f"{one.claim.task}: {one.error!r}" for one in found[1:])
        _note(error, f"mainspring: these jobs also went wrong: {others}")
    return error


def _note(error: BaseException, text: str) -> None:
    with suppress(Exception):  # nothing can be set on some errors, as on a frozen dataclass
        error.add_note(text)
