"""The jobs of two stores side by side, by their ids. Reads pages, and keeps counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mainspring.model.job import JobState
from mainspring.model.view import JobFilter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainspring.model.view import JobRecord
    from mainspring.protocols import Catalog

FIRST_PAGE, MOST_OF_A_PAGE = 16, 250
PAGE_BYTES = 4 << 20
"""Bytes of a page from which on the next one is shorter."""

MOST_EXAMPLES = 5
"""Ids that are kept of those that are missing."""


class PageSize:
    """The number of jobs of the next page: few of large ones, so that memory is bounded."""

    def __init__(self) -> None:
        self.limit = FIRST_PAGE

    def note(self, jobs: int, size_bytes: int) -> None:
        """Choose the length of the next page by the size of this one."""
        if size_bytes > PAGE_BYTES:
            self.limit = max(1, jobs * PAGE_BYTES // size_bytes)
        else:
            self.limit = min(MOST_OF_A_PAGE, 2 * self.limit)


@dataclass(slots=True)
class Comparison:
    """The jobs of a source, and the same ones in a target, by state.

    `ahead` are in another state there: they have gone on, and stand in neither count. `others` are
    those of the target alone, `missing` those of the source alone, with some of their ids.
    """

    source: dict[str, int] = field(default_factory=lambda: dict.fromkeys(map(str, JobState), 0))
    target: dict[str, int] = field(default_factory=lambda: dict.fromkeys(map(str, JobState), 0))
    ahead: int = 0
    others: int = 0
    missing: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, one: JobRecord | None, other: JobRecord | None) -> None:
        """Count a job of the source, one of the target, or both if they are the same."""
        if one is None:
            self.others += 1
        elif other is None:
            self.source[one.state] += 1
            self.missing += 1
            self.examples += [one.id] if len(self.examples) < MOST_EXAMPLES else []
        elif one.state is other.state:
            self.source[one.state] += 1
            self.target[other.state] += 1
        else:
            self.ahead += 1


def compare(source: Catalog, target: Catalog) -> Comparison:
    """Return how the jobs of two stores compare."""
    comparison = Comparison()
    ones, others = records_of(source), records_of(target)
    one, other = next(ones, None), next(others, None)
    while one is not None or other is not None:
        if one is not None and other is not None and one.id == other.id:
            comparison.note(one, other)
            one, other = next(ones, None), next(others, None)
        elif other is None or (one is not None and one.key <= other.key):
            comparison.note(one, None)
            one = next(ones, None)
        else:
            comparison.note(None, other)
            other = next(others, None)
    return comparison


def records_of(catalog: Catalog) -> Iterator[JobRecord]:
    """Yield every job by its key."""
    size, after = PageSize(), None
    while page := catalog.jobs(JobFilter(), before=after, limit=size.limit, oldest_first=True):
        yield from page
        after = page[-1].key
        size.note(len(page), sum(len(one.payload) + len(one.result or b"") for one in page))
