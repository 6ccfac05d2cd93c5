"""JobEvent: something that happened to one job, as subscribers are told of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mainspring.model.hidden_names import HIDES_NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mainspring.model.hidden_names import HiddenNames

JOB_KINDS = (
    "enqueued",
    "started",
    "progressed",
    "retried",
    "snoozed",
    "completed",
    "failed",
    "cancelled",
    "expired",
    "rescued",
)
"""The kinds of events of a job, in the order of its life."""


@dataclass(frozen=True, slots=True)
class JobTexts:
    """The stored texts of a job, and the functions that decode them when somebody asks."""

    payload: bytes
    result: bytes | None
    decode_call: Callable[[bytes, str], tuple[tuple[Any, ...], dict[str, Any]]]
    decode_result: Callable[[bytes, str], Any]
    error: str | None = None
    hidden: HiddenNames = HIDES_NOTHING


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that happened to a job: `kind` is one of `JOB_KINDS`.

    `at`: when it was told of (aware UTC). `attempt`: the attempt's number, from 1; 0 before the
    first. `seconds`: how long it ran, of an attempt that ran and has ended. `delay`: seconds until
    the next attempt of a job that was retried, snoozed or rescued. `progress` (0 to 1) and
    `message`: what a body said last. `args`, `kwargs`, `result` and `error` are decoded when they
    are asked for, and never before.
    """

    kind: str
    id: str
    task: str
    queue: str
    at: datetime
    texts: JobTexts = field(repr=False, compare=False)
    attempt: int = 0
    seconds: float | None = None
    delay: float | None = None
    progress: float | None = None
    message: str | None = None

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments; raises Undecodable."""
        return self._call[0]

    @property
    def kwargs(self) -> dict[str, Any]:
        """The keyword arguments; raises Undecodable."""
        return self._call[1]

    @property
    def result(self) -> Any:
        """The result of a completed job, else None; raises Undecodable."""
        texts = self.texts
        if texts.result is None:
            return None
        return texts.hidden.value(texts.decode_result(texts.result, self.task))

    @property
    def error(self) -> str | None:
        """The last line of the failure that it is about, None if it is about none."""
        error, hidden = self.texts.error, self.texts.hidden
        if error is None or not hidden.names:
            return error
        try:
            secrets = hidden.secrets(self.task, *self._plain_call)
        except ValueError:  # arguments that can't be read may stand in it as they are
            return error.partition(":")[0]
        return hidden.text(error, secrets)

    @property
    def _plain_call(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return self.texts.decode_call(self.texts.payload, self.task)

    @property
    def _call(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return self.texts.hidden.call(self.task, *self._plain_call)

    def hiding(self, hidden: HiddenNames) -> JobEvent:
        """Return the same event without the values of those names."""
        return replace(self, texts=replace(self.texts, hidden=hidden))
