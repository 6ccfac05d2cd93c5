"""Rules for time series that all stores share."""

from __future__ import annotations

from mainspring.model.time_series import SeriesEntry
from mainspring.stores.rules.columns import Columns, bytes_in

FUTURE_SECONDS = 86_400.0
"""Seconds from now beyond which a moment is none that a clock of ours has said."""


def entry_of(key: object, at: object, text: object) -> SeriesEntry | None:
    """Return the entry in a row; None if it has no moment."""
    read = Columns()
    moment = read.moment("at", at)
    if read.unreadable or type(key) is not int:
        return None
    return SeriesEntry(key, moment, bytes_in(text))
