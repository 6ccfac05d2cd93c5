"""The seam of time series: dated texts that a store keeps for views, each kind for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mainspring.model.time_series import SeriesPage


class TimeSeries(Protocol):
    """Texts with a moment of the store's clock, by kind; each method is one transaction.

    The store reads none of them: statistics and the audit log are two ways to use it. Ages are in
    seconds. Anybody who can write to the store may have written a text: a reader checks it.
    """

    def add_entry(self, kind: str, text: bytes, *, ago: float = 0.0) -> None:
        """Keep a JSON text, with the moment `ago` seconds before now."""
        ...

    def entries(
        self,
        kind: str,
        *,
        newer_than: float,
        older_than: float = 0.0,
        before: int | None = None,
        limit: int,
    ) -> SeriesPage:
        """Return up to `limit` entries of these ages, newest first, with the store's own time.

        `before` is the key of the entry after which a page begins; of one that is gone, it is
        empty.
        """
        ...

    def replace_entries(
        self, kind: str, keys: Sequence[int], *, by: str, at: datetime, text: bytes
    ) -> bool:
        """Drop these entries, and keep a text of the kind `by` in their place; also of none.

        False, and nothing changes, if any of them is not there any more.
        """
        ...

    def drop_entries(self, kind: str, *, older_than: float, limit: int) -> int:
        """Drop up to `limit` entries of that age, and those of no moment; return how many."""
        ...
