"""Entries of time series, as a store returns them."""

from __future__ import annotations

from datetime import datetime  # the type of a Struct's field

from msgspec import Struct


class SeriesEntry(Struct, frozen=True, gc=False):
    """A text with its moment, aware UTC; `key` is the store's own number of it."""

    key: int
    at: datetime
    text: bytes


class SeriesPage(Struct, frozen=True, gc=False):
    """Entries, newest first, as of `now`, the store's own time."""

    now: datetime
    entries: list[SeriesEntry]
