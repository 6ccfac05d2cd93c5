"""Pages of jobs: a filter checked, and a cursor that leads on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from mainspring.errors import InvalidOption
from mainspring.model.job import JobState
from mainspring.model.name import is_utf8
from mainspring.model.options import Check, count
from mainspring.model.view import JobFilter
from mainspring.queue.job_handle import JobHandle

if TYPE_CHECKING:
    from mainspring.model.view import JobRecord
    from mainspring.protocols import Catalog
    from mainspring.queue.client import QueueClient

LONGEST_PAGE = 1_000
LOOKED_AT = 25_000
"""Jobs that a page of a search looks through, which takes some 0.1 s."""

_OWNER = "Queue.jobs()"
_LIMIT = count(least=1, most=LONGEST_PAGE)
_TEXT = Check(lambda value: isinstance(value, str) and is_utf8(value), "a text").or_none(
    "None for all"
)
_CURSOR = re.compile(r"before-(-?[0-9a-f]{1,16})", re.ASCII)
_KEYS = range(-(2**63), 2**63)


class JobPage(Sequence[JobHandle[Any]]):
    """Jobs, newest first. `cursor` is for the next page, None at the end.

    `records` are the same jobs as values of the moment when the page was read. A search looks
    through 25,000 jobs or so for a page, which may be empty with more to come; `looked` says
    through how many. It is None for pages of no search.
    """

    def __init__(
        self,
        client: QueueClient,
        records: Sequence[JobRecord],
        cursor: str | None,
        *,
        looked: int | None = None,
    ) -> None:
        self._handles = [JobHandle[Any](client, record.id, record.task) for record in records]
        self.records = tuple(records)
        self.cursor = cursor
        self.looked = looked

    def __repr__(self) -> str:
        return f"<JobPage of {len(self)}{', the last' if self.cursor is None else ''}>"

    def __len__(self) -> int:
        return len(self._handles)

    @overload
    def __getitem__(self, index: int, /) -> JobHandle[Any]: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[JobHandle[Any]]: ...
    def __getitem__(self, index: int | slice, /) -> JobHandle[Any] | list[JobHandle[Any]]:
        return self._handles[index]


def read_page(
    catalog: Catalog, client: QueueClient, wanted: JobFilter, *, cursor: str | None, limit: int
) -> JobPage:
    """Return a page; raises InvalidOption for a cursor that no page gave, or a senseless limit."""
    before = None if cursor is None else _key_of(cursor)
    _LIMIT(_OWNER, "limit", limit)
    # One more than is shown tells whether there is another page.
    if wanted.search is None:
        records = catalog.jobs(wanted, before=before, limit=limit + 1)
        return JobPage(client, records[:limit], _cursor_after(records, limit, None))
    found = catalog.search(wanted, before=before, limit=limit + 1, most=LOOKED_AT)
    cursor = _cursor_after(found.records, limit, found.before)
    return JobPage(client, found.records[:limit], cursor, looked=found.looked)


def filter_of(
    status: str | None, queue: str | None, task: str | None, search: str | None = None
) -> JobFilter:
    """Return the filter that the options say; raises InvalidOption."""
    for option, value in (("queue", queue), ("task", task), ("search", search)):
        _TEXT(_OWNER, option, value)
    return JobFilter(_state_of(status), queue, task, search or None)


def _state_of(status: str | None) -> JobState | None:
    try:
        return None if status is None else JobState(status)
    except ValueError:
        expected = " or ".join(f'"{state}"' for state in JobState)
        raise InvalidOption("status", status, owner=_OWNER, expected=expected) from None


def _cursor_after(records: Sequence[JobRecord], limit: int, before: int | None) -> str | None:
    """Return the cursor of the next page; `before` is where a search stopped."""
    key = records[limit - 1].key if len(records) > limit else before
    return None if key is None else f"before-{key:x}"


def _key_of(cursor: object) -> int:
    found = _CURSOR.fullmatch(cursor) if isinstance(cursor, str) else None
    key = None if found is None else int(found[1], 16)
    if key is None or key not in _KEYS:
        expected = "the .cursor of a page, or None for the first"
        raise InvalidOption("cursor", cursor, owner=_OWNER, expected=expected)
    return key
