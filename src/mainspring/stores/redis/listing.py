"""Lists of jobs, a page of the server at a time, so that no script takes long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.model.view import SearchPage
from mainspring.stores.redis.records import record_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mainspring.model.view import JobFilter, JobRecord

PAGE = 500
"""Jobs that one script looks at. It takes a few milliseconds, in which the server does no other."""


def jobs(
    run: Callable[..., Any], wanted: JobFilter, *, before: int | None, limit: int
) -> list[JobRecord]:
    """Return the newest jobs that fit, those with a key below `before`."""
    found: list[JobRecord] = []
    for records, _, _ in pages(run, wanted, before=before, limit=limit):
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


def pages(
    run: Callable[..., Any],
    wanted: JobFilter,
    *,
    before: int | None,
    limit: int,
    most: int | None = None,
) -> Iterator[tuple[list[JobRecord], int, int | None]]:
    """Yield records, the number looked at, and the key below which the next page begins."""
    states = False if wanted.status is None else [wanted.status.value]
    lane = (wanted.queue or False, wanted.task or False)
    below = -1 if before is None else before
    limit = PAGE if wanted.search is not None else min(limit, PAGE)
    while True:
        look = PAGE if most is None else min(most, PAGE)
        rows, looked, below = run("list", states, *lane, below, limit, look)
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
