"""JobEvent: something that happened to one job, as subscribers are told of it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
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
class ShownValues:
    """Values in the place of stored texts: what an event may show, in another process as well.

    One that can't be decoded is the error that says so.
    """

    call: tuple[tuple[Any, ...], dict[str, Any]] | ValueError
    result: Any

    def decode_call(self, _payload: bytes, _task: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments; raises Undecodable."""
        if isinstance(self.call, ValueError):
            raise self.call
        return self.call

    def decode_result(self, _result: bytes, _task: str) -> Any:
        """Return the result; raises Undecodable."""
        if isinstance(self.result, ValueError):
            raise self.result
        return self.result


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

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what a copy or another process is told: with hidden names, no hidden value."""
        texts = self._shown() if self.texts.hidden.names else self.texts
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        return JobEvent, tuple({**told, "texts": texts}.values())

    def _shown(self) -> JobTexts:
        call = decoded(lambda: self._call)
        result = decoded(lambda: self.result)
        shown, had_result = ShownValues(call, result), self.texts.result is not None
        return JobTexts(
            b"", b"" if had_result else None, shown.decode_call, shown.decode_result, self.error
        )

    def hiding(self, hidden: HiddenNames) -> JobEvent:
        """Return the same event without the values of those names."""
        return replace(self, texts=replace(self.texts, hidden=hidden))


def decoded(decode: Callable[[], Any]) -> Any:
    """Return a value, or the error that says why it can't be decoded."""
    try:
        return decode()
    except ValueError as error:
        return error
