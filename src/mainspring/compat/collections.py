"""Collections of functions whose results are those of neotasker and atasker."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import mainspring

if TYPE_CHECKING:
    from mainspring.background.tasks.collection import Answer, Entry


def _shown(answer: Answer, *, include_exceptions: bool) -> Any:
    error = answer.error
    if error is None or not include_exceptions:
        return answer.result
    return error, "".join(traceback.format_exception(error))


class FunctionCollection(mainspring.FunctionCollection):
    """A collection whose failed functions have the result None, or (error, traceback).

    Without `on_error`, `run` raises what a function raised, and calls no more of them.
    """

    def shown(self, answer: Answer) -> tuple[Any, ...]:
        """Return the result, and for a failed function what stands for it."""
        return (_shown(answer, include_exceptions=self.include_exceptions),)

    def report_error(self, entry: Entry, error: BaseException) -> None:
        """Report an error to `on_error`, or raise it."""
        if self.on_error is None:
            raise error
        super().report_error(entry, error)


class TaskCollection(mainspring.TaskCollection):
    """A collection of tasks whose failed functions have the result None, or (error, traceback)."""

    def shown(self, answer: Answer) -> tuple[Any, ...]:
        """Return the result, and for a failed function what stands for it."""
        return (_shown(answer, include_exceptions=self.include_exceptions),)
