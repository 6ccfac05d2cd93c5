"""Pages of jobs: a filter checked, and a cursor that leads on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from mainspring.errors import InvalidOption
from mainspring.model.job import JobState
from mainspring.model.name import is_utf8
from mainspring.model.options import Check, count
from mainspring.model.value import Value
from mainspring.model.view import JobFilter, SearchPage
from mainspring.queue.job_handle import JobHandle
from mainspring.queue.narrowing import Narrowing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mainspring.model.view import JobRecord
    from mainspring.protocols import Catalog
    from mainspring.queue.client import QueueClient

LONGEST_PAGE = 1_000
LOOKED_AT = 25_000
"""Jobs that a page of a search looks through, which takes some 0.1 s."""

STEP = 500
"""Jobs that are read at a time where the store can't filter."""

ALL = Narrowing()

_OWNER = "Queue.jobs()"
_LIMIT = count(least=1, most=LONGEST_PAGE)
_TEXT = Check(lambda value: isinstance(value, str) and is_utf8(value), "a text").or_none(
    "None for all"
)
_PAGE = count(least=1, most=10_000_000).or_none("None with a cursor")
_ORDERS = {"newest": "before", "oldest": "after"}
"""Orders of a page, and the word that a cursor of theirs begins with."""
_ORDER = Check(lambda order: order in _ORDERS, '"newest" or "oldest"')
_CURSOR = re.compile(r"(before|after)-(-?[0-9a-f]{1,16})", re.ASCII)
_KEYS = range(-(2**63), 2**63)


PageOrder = Literal["newest", "oldest"]
"""Order of the jobs on a page."""


class JobPage(Sequence[JobHandle[Any]]):
    """Jobs, newest first unless asked otherwise. `cursor` is for the next page, None at the end.

    They were read at once, and their fields are those of that moment; see `JobHandle.refresh`.
    `records` are the same jobs as values. A search looks through 25,000 jobs or so for a page,
    which may be empty with more to come; `looked` says through how many. It is None for pages of no
    search.
    """

    def __init__(
        self,
        client: QueueClient,
        records: Sequence[JobRecord],
        cursor: str | None,
        *,
        looked: int | None = None,
    ) -> None:
        self._handles = [
            JobHandle[Any](client, record.id, record.task, record) for record in records
        ]
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


class Place(Value, frozen=True):
    """The page that is wanted: its order, and where it begins, by a cursor or its number."""

    order: str = "newest"
    cursor: str | None = None
    page: int | None = None
    limit: int = 100

    def __post_init__(self) -> None:
        _LIMIT(_OWNER, "limit", self.limit)
        _ORDER(_OWNER, "order", self.order)
        _PAGE(_OWNER, "page", self.page)
        if self.cursor is not None and self.page is not None:
            remedy = "give one of them: both say where the page begins"
            why = "goes with no cursor"
            raise InvalidOption("page", self.page, owner=_OWNER, why=why, remedy=remedy)

    @property
    def skip(self) -> int:
        """The number of jobs on the pages before it."""
        return 0 if self.page is None else (self.page - 1) * self.limit

    @property
    def before(self) -> int | None:
        """The key that it comes after; raises InvalidOption for a cursor that no page gave."""
        return None if self.cursor is None else _key_of(self.cursor, self.order)

    def check_search(self) -> None:
        """Raise InvalidOption for what a look through jobs can't do: it goes from the newest on."""
        for option, value, usual in (("order", self.order, "newest"), ("page", self.page, None)):
            if value != usual:
                remedy = "leave it out, and go on by the .cursor of the page before"
                why = "is not possible with search=, error=, since= or until="
                raise InvalidOption(option, value, owner=_OWNER, why=why, remedy=remedy)


def read_page(
    catalog: Catalog,
    client: QueueClient,
    wanted: JobFilter,
    place: Place,
    narrowing: Narrowing = ALL,
) -> JobPage:
    """Return a page, read at once; raises InvalidOption."""
    before, limit = place.before, place.limit
    if not narrowing.empty:
        place.check_search()
        fit = looked_through(catalog, wanted, narrowing.fits, before, limit)
        cursor = None if fit.before is None else f"{_ORDERS[place.order]}-{fit.before:x}"
        return JobPage(client, fit.records, cursor, looked=fit.looked)
    # One more than is shown tells whether there is another page.
    if wanted.search is None:
        oldest_first = place.order == "oldest"
        records = catalog.jobs(
            wanted, before=before, limit=limit + 1, skip=place.skip, oldest_first=oldest_first
        )
        return JobPage(client, records[:limit], _cursor_after(records, place, None))
    place.check_search()
    found = catalog.search(wanted, before=before, limit=limit + 1, most=LOOKED_AT)
    cursor = _cursor_after(found.records, place, found.before)
    return JobPage(client, found.records[:limit], cursor, looked=found.looked)


def read_all(catalog: Catalog, wanted: JobFilter, narrowing: Narrowing) -> Iterator[JobRecord]:
    """Yield every job that fits, newest first."""
    before, more = None, True
    while more:
        page = looked_through(catalog, wanted, narrowing.fits, before, STEP)
        yield from page.records
        before, more = page.before, page.before is not None


def looked_through(  # noqa: PLR0913  # what, where, and how much
    catalog: Catalog,
    wanted: JobFilter,
    fits: Callable[[JobRecord], bool],
    before: int | None,
    limit: int,
    *,
    most: int | None = None,
) -> SearchPage:
    """Return up to `limit` jobs that `fits` accepts, of the next `most` or so."""
    records: list[JobRecord] = []
    looked = 0
    while looked < (most or LOOKED_AT):
        page = _step(catalog, wanted, before)
        for record in page.records:
            if fits(record):
                records.append(record)
            if len(records) > limit:  # one more than is shown tells whether there is another page
                return SearchPage(records[:limit], looked, records[limit - 1].key)
        looked, before = looked + page.looked, page.before
        if before is None:
            break
    return SearchPage(records, looked, before)


def _step(catalog: Catalog, wanted: JobFilter, before: int | None) -> SearchPage:
    if wanted.search is not None:
        return catalog.search(wanted, before=before, limit=STEP, most=LOOKED_AT)
    records = catalog.jobs(wanted, before=before, limit=STEP)
    return SearchPage(records, len(records), records[-1].key if len(records) == STEP else None)


def filter_of(
    status: str | None,
    queue: str | None,
    task: str | None,
    search: str | None = None,
    tag: str | None = None,
) -> JobFilter:
    """Return the filter that the options say; raises InvalidOption."""
    for option, value in (("queue", queue), ("task", task), ("search", search), ("tag", tag)):
        _TEXT(_OWNER, option, value)
    return JobFilter(_state_of(status), queue, task, search or None, tag)


def _state_of(status: str | None) -> JobState | None:
    try:
        return None if status is None else JobState(status)
    except ValueError:
        expected = " or ".join(f'"{state}"' for state in JobState)
        raise InvalidOption("status", status, owner=_OWNER, expected=expected) from None


def _cursor_after(records: Sequence[JobRecord], place: Place, before: int | None) -> str | None:
    """Return the cursor of the next page; `before` is where a search stopped."""
    key = records[place.limit - 1].key if len(records) > place.limit else before
    return None if key is None else f"{_ORDERS[place.order]}-{key:x}"


def _key_of(cursor: object, order: str) -> int:
    found = _CURSOR.fullmatch(cursor) if isinstance(cursor, str) else None
    key = None if found is None or found[1] != _ORDERS[order] else int(found[2], 16)
    if key is None or key not in _KEYS:
        expected = "the .cursor of a page in the same order, or None for the first"
        raise InvalidOption("cursor", cursor, owner=_OWNER, expected=expected)
    return key
