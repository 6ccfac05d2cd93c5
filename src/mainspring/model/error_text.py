"""An error as texts: class, message, traceback. Whatever its class does, reading never raises."""

from __future__ import annotations

import traceback

from mainspring.model.script import module_names
from mainspring.model.user_frames import frames_of

MESSAGE_CHARACTERS = 16_000
"""The first so many characters of a message are kept: some carry all that they were given."""

TRACEBACK_CHARACTERS = 16_000
"""The last so many characters of a traceback are kept: its end says what happened."""

_qualname_of = type.__dict__["__qualname__"].__get__


def name_of(kind: type) -> str:
    """Return the full name of a class, or the best there is if its metaclass hides it."""
    try:
        return _storable(f"{module_names(kind.__module__)[0]}.{kind.__qualname__}")
    except BaseException:  # noqa: BLE001  # a user's metaclass may do anything
        return _storable(str(_qualname_of(kind)))


def message_of(error: BaseException) -> str:
    """Return what `str` gives, with its notes, or say that it raised; the first part of it."""
    try:
        return _shortened(_storable("; ".join([str(error), *getattr(error, "__notes__", ())])))
    except BaseException as second:  # noqa: BLE001  # a user's __str__ may do anything
        return f"<its message raised {type(second).__name__}>"


def repr_of(error: object) -> str:
    """Return what `repr` gives, or say that it raised; the first part of it."""
    try:
        return _shortened(_storable(repr(error)))
    except BaseException as second:  # noqa: BLE001  # a user's __repr__ may do anything
        return f"<{name_of(type(error))}: its repr raised {type(second).__name__}>"


def traceback_of(error: BaseException) -> str:
    """Return the text of its traceback, from the user's first frame on; the last part of it."""
    try:
        return _storable("".join(_lines(error)))[-TRACEBACK_CHARACTERS:]
    except BaseException as second:  # noqa: BLE001  # no memory left, or no stack
        return f"<its traceback can't be read: {type(second).__name__}>"


def _lines(error: BaseException) -> list[str]:
    frames = frames_of(error)
    try:
        return traceback.format_exception(type(error), error, frames)
    except BaseException:  # noqa: BLE001  # it asks the error, and its causes, for all they have
        return [*traceback.format_tb(frames), "<the rest of its traceback can't be formatted>\n"]


def _shortened(text: str) -> str:
    if len(text) <= MESSAGE_CHARACTERS:
        return text
    return f"{text[:MESSAGE_CHARACTERS]}... (of {len(text):,} characters)"


def _storable(text: str) -> str:
    # Lone surrogates (from file names, for one) are no UTF-8, and no store takes them. Called on
    # the class: a user's __str__ may return a text with an `encode` of its own.
    return str.encode(text, "utf-8", "backslashreplace").decode()
