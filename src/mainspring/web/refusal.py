"""A request that can't be fulfilled, as an error on its way to the response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class ArgumentProblem:
    """A wrong argument: the `place` (its name, then fields and numbers), the reason, its kind."""

    place: tuple[str | int, ...]
    why: str
    kind: str

    @property
    def path(self) -> str:
        """The place as one text."""
        return ".".join(map(str, self.place))


class Refused(Exception):
    """A request that can't be fulfilled, with its HTTP status and the field to change.

    `retry_after`: seconds to wait before another try, None where that would change nothing.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        field: str | None = None,
        *,
        retry_after: int | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.retry_after = retry_after
        self.problems: tuple[ArgumentProblem, ...] = ()
        super().__init__(detail)


class WrongParams(Refused):
    """Arguments that do not fit the task; the field is the first of those."""

    def __init__(self, problems: Iterable[ArgumentProblem]) -> None:
        found = tuple(problems)
        first = found[0]
        text = f"{first.path} {first.why[:1].lower()}{first.why[1:]}"
        super().__init__(422, "wrong_params", text, f"params.{first.path}")
        self.problems = found
