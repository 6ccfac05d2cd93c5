"""Columns of a row as values, checked where they are read.

A column that holds no value of its kind was written by somebody else. A default stands in its
place, and the reader of the row learns the column's name.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING, TypeVar

from msgspec import DecodeError, json

from mainspring.clock import EPOCH
from mainspring.model.job import Failure
from mainspring.model.job_options import NO_OWN_OPTIONS, JobOptions, read_options
from mainspring.model.record import Undecodable, type_name
from mainspring.stores.clock import as_micros

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")

UNREADABLE = (DecodeError, UnicodeError, RecursionError)
"""The errors of a text that is no JSON, or nested too deep."""

decode_failure = json.Decoder(Failure).decode

# Far from what a datetime can hold: 300 years may be added to a moment, or taken from it.
EARLIEST = as_micros(datetime(1000, 1, 1, tzinfo=UTC))
LATEST = as_micros(datetime(9000, 1, 1, tzinfo=UTC))


class Columns:
    """Reads one row; `unreadable` names the columns that hold no value of their kind."""

    __slots__ = ("unreadable",)

    def __init__(self) -> None:
        self.unreadable: tuple[str, ...] = ()

    def integer(self, name: str, value: object, default: int = 0) -> int:
        """Return a whole number."""
        return value if type(value) is int else self._refuse(name, default)

    def lease_end(self, name: str, value: object, default: int = 0) -> int:
        """Return the microsecond at which a lease ends; one that never would can't be read."""
        return value if type(value) is int and value <= LATEST else self._refuse(name, default)

    def fraction(self, name: str, value: object) -> float:
        """Return a number from 0 to 1; 0 for NULL."""
        if value is None:
            return 0.0
        if isinstance(value, (int, float)) and 0 <= value <= 1:
            return float(value)
        return self._refuse(name, 0.0)

    def seconds(self, name: str, value: object) -> float | None:
        """Return a finite number that may be missing."""
        if value is None or (isinstance(value, (int, float)) and isfinite(value)):
            return value
        return self._refuse(name, None)

    def moment(self, name: str, value: object) -> datetime:
        """Return a stored time as an aware UTC datetime."""
        if type(value) is int and EARLIEST <= value <= LATEST:
            return EPOCH + timedelta(microseconds=value)
        return self._refuse(name, EPOCH)

    def moment_or_none(self, name: str, value: object) -> datetime | None:
        """Return a stored time that may be missing."""
        return None if value is None else self.moment(name, value)

    def text(self, name: str, value: object) -> str:
        """Return a text; of bytes, what they say."""
        return value if type(value) is str else self._refuse(name, text_in(value))

    def word(self, name: str, value: Value, words: tuple[Value, ...]) -> Value:
        """Return one of some words, or the first of them."""
        return value if value in words else self._refuse(name, words[0])

    def decoded(
        self, name: str, value: object, decode: Callable[[bytes], Value], default: Value
    ) -> Value:
        """Return what a JSON text says."""
        try:
            return decode(bytes_in(value))
        except UNREADABLE:
            return self._refuse(name, default)

    def options(self, value: object) -> JobOptions:
        """Return options of a job's own; none of those that can't be read."""
        try:
            return read_options(bytes_in(value))
        except Undecodable:
            return self._refuse("options", NO_OWN_OPTIONS)

    def failure(self) -> Failure | None:
        """Return the evidence of what could not be read, if there is any."""
        if not self.unreadable:
            return None
        return Failure(type_name(Undecodable), self.remark())

    def remark(self) -> str:
        """Return a sentence about what could not be read; nothing if all could."""
        names = ", ".join(self.unreadable)
        return f"the stored {names} can't be read" if names else ""

    def refuse(self, name: str) -> None:
        """Note that a column can't be read."""
        self.unreadable += (name,)

    def _refuse(self, name: str, default: Value) -> Value:
        self.refuse(name)
        return default


def text_in(value: object) -> str:
    """Return a column of text as such, whatever it holds."""
    if type(value) is str:
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return "" if value is None else str(value)


def bytes_in(value: object) -> bytes:
    """Return a column of JSON text as bytes, whatever it holds."""
    return value if isinstance(value, bytes) else text_in(value).encode("utf-8", "backslashreplace")


def failure_of(value: object) -> Failure | None:
    """Return a stored failure; for one that can't be read, one that says so."""
    if value is None:
        return None
    try:
        return decode_failure(bytes_in(value))
    except UNREADABLE as error:
        return Failure(type_name(Undecodable), f"the stored failure can't be read: {error}")
