"""The frames of a traceback that are the user's: those of ours that led to them say nothing.

Light to import: a child process needs it at its start.
"""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

OURS = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")  # noqa: PTH118, PTH120  # light

_ERRORS = "mainspring.errors"

_real_traceback_of = BaseException.__dict__["__traceback__"].__get__
"""Reads the real one: a class may have put something of its own in its place."""


def frames_of(error: BaseException) -> TracebackType | None:
    """Return its traceback from the first frame that is not ours on.

    The whole one if all are ours: then the error is ours, too.
    """
    whole: TracebackType | None = _real_traceback_of(error)
    frames = whole
    while frames is not None and _is_ours(frames):
        frames = frames.tb_next
    return frames or whole


def _is_ours(frames: TracebackType) -> bool:
    return frames.tb_frame.f_code.co_filename.startswith(OURS)


def exc_info_of(
    error: BaseException,
) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    """Return the error as `logging` takes it, without the frames of ours that led to the user's."""
    return type(error), error, frames_of(error)


def exc_info_unless_ours(
    error: BaseException,
) -> tuple[type[BaseException], BaseException, TracebackType | None] | None:
    """Return the same for a line that tells the error itself.

    None for an error of ours that no code of the user's led to: its sentence says it all.
    """
    info = exc_info_of(error)
    ours = type(error).__module__ == _ERRORS and info[2] is not None and _is_ours(info[2])
    return None if ours else info
