"""Jobs that are chosen by a filter: a page of them, or as many as one change may take."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from mainspring.clock import moment_of, monotonic
from mainspring.model.job import JobState
from mainspring.model.name import is_utf8
from mainspring.model.value import Value
from mainspring.model.view import JobFilter
from mainspring.queue.listing import LOOKED_AT, looked_through
from mainspring.queue.narrowing import Narrowing
from mainspring.web.dashboard.visit import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from mainspring.model.view import JobRecord
    from mainspring.web.dashboard.redaction import RedactedJob
    from mainspring.web.dashboard.site import Site

STEP = 500
"""Jobs that are read at a time."""

MOST_SECONDS = 5.0
"""Time after which no more jobs are sought for a change of all that fit."""

MOST_LOOKED = 5_000
"""Jobs that a page looks through where the store can't filter."""

LONGEST_TEXT = 1_000
LARGEST_KEY = 2**63 - 1
FIELDS = ("status", "queue", "task", "tag", "search", "error", "since", "until")
NAMES = frozenset({"queue", "task", "tag"})
"""Fields that are names: one may begin or end with a space, and another be the rest of it."""


class FoundJobs(Value, frozen=True):
    """Jobs, newest first; `before` leads on. `looked`: how many a search looked through."""

    jobs: list[RedactedJob]
    before: int | None
    looked: int | None = None


class ChosenIds(Value, frozen=True):
    """Ids of jobs, newest first; `whole`: there are no others that fit."""

    ids: list[str]
    whole: bool


class Selection(Value, frozen=True):
    """A filter of jobs; an empty field fits all. `error` is the key of a failure group.

    `since` and `until` are moments of UTC, as a browser's own field writes them: between these a
    job ended, or was made if it has not.
    """

    status: str = ""
    queue: str = ""
    task: str = ""
    tag: str = ""
    search: str = ""
    error: str = ""
    since: str = ""
    until: str = ""

    @property
    def state(self) -> JobState | None:
        """The state that is asked for."""
        return JobState(self.status) if self.status else None

    @property
    def given(self) -> dict[str, str]:
        """The fields that are not empty."""
        return {name: value for name in FIELDS if (value := getattr(self, name))}

    @property
    def narrowed(self) -> bool:
        """True if jobs have to be looked through, since no store knows a part of it."""
        return bool(self.error or self.since or self.until)

    @property
    def filter(self) -> JobFilter:
        """The part that the store knows."""
        fields = (self.queue, self.task, self.search, self.tag)
        return JobFilter(self.state, *(field or None for field in fields))

    def page(self, site: Site, before: int | None, limit: int) -> FoundJobs:
        """Return a page."""
        if self.narrowed:
            return self._looked_through(site, before, limit)
        if not self.search:
            return self._list(site, before, limit)
        found = self._search(site, before, limit)
        # What is hidden must not be found either, or a search would tell it letter by letter.
        if site.redaction.names:
            shown = [job for job in found.jobs if job.contains(self.search)]
            return FoundJobs(shown, found.before, found.looked)
        return found

    def ids(
        self, site: Site, most: int, skips: Callable[[JobRecord], bool] | None = None
    ) -> ChosenIds:
        """Return the ids of the jobs that fit, the newest `most` of those found in some seconds.

        Those are left out of which `skips` returns True.
        """
        deadline, before = monotonic() + MOST_SECONDS, None
        ids: list[str] = []
        while True:
            found = self.page(site, before, STEP)
            records = (job.record for job in found.jobs)
            ids += [one.id for one in records if skips is None or not skips(one)]
            before = found.before
            if before is None and len(ids) <= most:
                return ChosenIds(ids, whole=True)
            if len(ids) >= most or monotonic() > deadline:
                return ChosenIds(ids[:most], whole=False)

    def _list(self, site: Site, before: int | None, limit: int) -> FoundJobs:
        records = site.store.jobs(self.filter, before=before, limit=limit + 1)
        more = records[limit - 1].key if len(records) > limit else None
        return FoundJobs(_redacted(site, records[:limit]), more)

    def _search(self, site: Site, before: int | None, limit: int) -> FoundJobs:
        page = site.store.search(self.filter, before=before, limit=limit, most=LOOKED_AT)
        return FoundJobs(_redacted(site, page.records), page.before, page.looked)

    def _looked_through(self, site: Site, before: int | None, limit: int) -> FoundJobs:
        fits = self._fits(site)
        page = looked_through(site.store, self.filter, fits, before, limit, most=MOST_LOOKED)
        return FoundJobs(_redacted(site, page.records), page.before, page.looked)

    def _fits(self, site: Site) -> Callable[[JobRecord], bool]:
        narrowing = Narrowing(since=self._moment("since"), until=self._moment("until"))

        def fits(record: JobRecord) -> bool:
            return (
                narrowing.in_time(record)
                and (not self.error or site.failure_seen(record).key == self.error)
                and self._says(site.redaction.of(record))
            )

        return fits

    def _moment(self, name: str) -> datetime | None:
        said = getattr(self, name)
        return moment_of(said).replace(tzinfo=UTC) if said else None

    def _says(self, job: RedactedJob) -> bool:
        return not self.search or job.contains(self.search)


def selection_of(given: Mapping[str, str]) -> Selection:
    """Return the filter that a form or an address says; raises Refusal."""
    fields = {name: given.get(name, "") for name in FIELDS}
    fields |= {name: value.strip() for name, value in fields.items() if name not in NAMES}
    for name, value in fields.items():
        if len(value) > LONGEST_TEXT or "\0" in value or not is_utf8(value):
            raise Refusal(400, f"{name} is not a text of up to {LONGEST_TEXT:,} letters.")
    if fields["status"] not in {"", *JobState}:
        states = ", ".join(JobState)
        raise Refusal(400, f"There is no state {fields['status']!r}; the states are {states}.")
    for name in ("since", "until"):
        fields[name] = _minute(name, fields[name])
    if fields["error"]:
        fields["status"] = fields["status"] or JobState.FAILED
    return Selection(**fields)


def _minute(name: str, said: str) -> str:
    if not said:
        return ""
    try:
        moment = moment_of(said)
        # One with an offset, as in a link that somebody wrote, is not of UTC.
        moment = moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
        return moment.isoformat(timespec="minutes")
    except (ValueError, OverflowError):
        raise Refusal(400, f"{name} is no time such as 2030-01-31T08:00 (UTC).") from None


def place_of(given: Mapping[str, str]) -> int | None:
    """Return the key before which a page begins, None for the first; raises Refusal."""
    said = given.get("before", "")
    if not said:
        return None
    if said.isascii() and said.isdigit() and len(said) < 20 and int(said) <= LARGEST_KEY:  # noqa: PLR2004  # digits of that
        return int(said)
    raise Refusal(400, "before is no place in the list; begin with the first page.")


def _redacted(site: Site, records: list[JobRecord]) -> list[RedactedJob]:
    return [site.redaction.of(record) for record in records]
