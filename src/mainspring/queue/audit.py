"""The audit log of a store: the changes that people make, written after each, and read by pages."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from mainspring.errors import InvalidOption, StoreError
from mainspring.model.audit import AUDIT, AuditEntry, audit_entry, audit_text
from mainspring.model.statistics import MONTH_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mainspring.protocols import TimeSeries

log = logging.getLogger("mainspring.audit")

MOST = 1_000
"""Entries of one page."""

MOST_DIGITS = 18


class AuditPage(Sequence[AuditEntry]):
    """Entries of the audit log, newest first. `cursor` is for the next page, None at the end."""

    def __init__(self, entries: Iterable[AuditEntry], cursor: str | None) -> None:
        self._entries = list(entries)
        self.cursor = cursor

    def __repr__(self) -> str:
        return f"<AuditPage of {len(self)}{', the last' if self.cursor is None else ''}>"

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int, /) -> AuditEntry: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[AuditEntry]: ...
    def __getitem__(self, index: int | slice, /) -> AuditEntry | list[AuditEntry]:
        return self._entries[index]


def audit_page(store: TimeSeries, cursor: str | None, limit: int) -> AuditPage:
    """Return a page of the last month; raises InvalidOption."""
    if type(limit) is not int or not 1 <= limit <= MOST:
        expected = f"a number from 1 to {MOST:,}"
        raise InvalidOption("limit", limit, owner="Queue.audit()", expected=expected)
    found = store.entries(
        AUDIT, newer_than=MONTH_SECONDS, before=_key_in(cursor), limit=limit + 1
    ).entries
    more = str(found[limit - 1].key) if len(found) > limit else None
    return AuditPage((audit_entry(one.at, one.text) for one in found[:limit]), more)


def note_change(  # noqa: PLR0913  # the fields of an entry
    store: TimeSeries,
    *,
    actor: str,
    via: str,
    action: str,
    targets: Sequence[str],
    count: int,
    details: Mapping[str, str],
) -> None:
    """Write down a change that was made.

    It stands, also if it can't be written down: then the log of the process has it.
    """
    text = audit_text(
        actor=actor, via=via, action=action, targets=targets, count=count, details=details
    )
    try:
        store.add_entry(AUDIT, text)
    except StoreError as error:
        log.error("this change was made, and is not in the audit log: %r; %s", text, error)  # noqa: TRY400  # the error says it


def _key_in(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if cursor.isascii() and cursor.isdigit() and len(cursor) <= MOST_DIGITS:
        return int(cursor)
    raise InvalidOption("cursor", cursor, owner="Queue.audit()", expected="that of an AuditPage")
