"""The frames of a traceback that are the user's: those of ours that led to them say nothing.

Light to import: a child process needs it at its start.
"""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

OURS = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")  # noqa: PTH118, PTH120  # light

_real_traceback_of = BaseException.__dict__["__traceback__"].__get__
"""Reads the real one: a class may have put something of its own in its place."""


def frames_of(error: BaseException) -> TracebackType | None:
    """Return its traceback from the first frame that is not ours on.

    The whole one if all are ours: then the error is ours, too.
    """
    whole: TracebackType | None = _real_traceback_of(error)
    frames = whole
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(OURS):
        frames = frames.tb_next
    return frames or whole


def exc_info_of(
    error: BaseException,
) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    """Return the error as `logging` takes it, without the frames of ours that led to the user's."""
    return type(error), error, frames_of(error)
