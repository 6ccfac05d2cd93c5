"""Lists of jobs, a page of the server at a time, so that no script takes long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.model.view import SearchPage
from mainspring.stores.redis.records import record_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mainspring.model.view import JobFilter, JobRecord

NEWEST, OLDEST = "newest", "oldest"
"""First of a page."""

PAGE = 500
"""Jobs that one script looks at. It takes a few milliseconds, in which the server does no other."""


def jobs(  # noqa: PLR0913  # the store's
    run: Callable[..., Any],
    wanted: JobFilter,
    *,
    before: int | None,
    limit: int,
    skip: int,
    order: str,
) -> list[JobRecord]:
    """Return the jobs that fit and come after `before` in that order, but for the first `skip`."""
    found: list[JobRecord] = []
    for records, _, _ in pages(run, wanted, before=before, limit=limit, skip=skip, order=order):
        found += [record for record in records if matches(record, wanted.search)]
        if len(found) >= limit:
            break
    return found[:limit]


def search(
    run: Callable[..., Any], wanted: JobFilter, *, before: int | None, limit: int, most: int
) -> SearchPage:
    """Return the newest jobs that fit, and how far it looked."""
    found: list[JobRecord] = []
    looked, last = 0, before
    for records, seen, following in pages(run, wanted, before=before, limit=most, most=most):
        for record in records:
            if matches(record, wanted.search):
                found.append(record)
            if len(found) == limit:
                place = records.index(record) + 1
                # Of a page whose jobs do not all fit the other fields, it is a little less.
                return SearchPage(found, looked + place, record.key)
        looked, last = looked + seen, following
        if looked >= most:
            break
    return SearchPage(found, looked, last)


def pages(  # noqa: PLR0913  # as above
    run: Callable[..., Any],
    wanted: JobFilter,
    *,
    before: int | None,
    limit: int,
    most: int | None = None,
    skip: int = 0,
    order: str = NEWEST,
) -> Iterator[tuple[list[JobRecord], int, int | None]]:
    """Yield records, the number looked at, and the key after which the next page begins."""
    states = False if wanted.status is None else [wanted.status.value]
    lane = (wanted.queue or False, wanted.task or False)
    below = -1 if before is None else before
    tag = False if wanted.tag is None else wanted.tag
    limit = PAGE if wanted.search is not None else min(limit, PAGE)
    while True:
        look = PAGE if most is None else min(most, PAGE)
        rows, looked, below, skip = run("list", states, *lane, below, limit, look, skip, order, tag)
        following = None if below < 0 else below
        yield [record_of(row) for row in rows], looked, following
        if following is None:
            return
        most = None if most is None else most - looked


def matches(record: JobRecord, search: str | None) -> bool:
    """Return True if a text stands in a job's id, task, arguments or error."""
    if search is None:
        return True
    error = "" if record.failure is None else str(record.failure)
    texts = (record.id, record.task, record.payload.decode("utf-8", "replace"), error)
    return any(search.lower() in text.lower() for text in texts)
