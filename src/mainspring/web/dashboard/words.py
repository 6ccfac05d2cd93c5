"""Small parts of pages: states, moments, numbers, links to jobs, buttons that change something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.duration import distance, span
from mainspring.model.job import EXPIRED, JobState
from mainspring.web.dashboard.html import Html, joined, tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from mainspring.model.view import JobRecord
    from mainspring.web.dashboard.html import Child
    from mainspring.web.dashboard.visit import Visit

NOTHING = "\N{EN DASH}"
CHOOSE = "Choose"
"""The head of a column of boxes, which is heard and not seen."""

LONGEST = 160
"""Letters of a text in a list."""


def state_of(record: JobRecord, now: datetime) -> str:
    """Return a job's state, told apart further than the store does."""
    if record.state is JobState.PENDING:
        if record.run_at <= now:
            return "ready"
        return "retrying" if record.attempts or record.crashes else "scheduled"
    if record.state is JobState.RUNNING:
        return "cancelling" if record.cancelling else "running"
    failure = record.failure
    if record.state is JobState.CANCELLED and failure is not None and failure.type == EXPIRED.type:
        return "expired"
    return record.state.value


def badge(state: str) -> Html:
    """Return a state as a coloured word."""
    return tag("span", state, class_=f"badge {state.replace(' ', '-')}")


def moment(at: datetime | None, now: datetime, nothing: str = NOTHING) -> Html:
    """Return how far away a moment is, with its time for those who point at it."""
    if at is None:
        return tag("span", nothing, class_="faint")
    exact = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    return tag("time", distance(at, now), datetime=at.isoformat(), title=exact)


def past_moment(at: datetime | None, now: datetime, nothing: str = NOTHING) -> Html:
    """Return how long ago it was; what was read after the visit began is of now."""
    return moment(None if at is None else min(at, now), now, nothing)


def lasted(start: datetime, end: datetime) -> str:
    """Return how long something took."""
    return span(max(0.0, (end - start).total_seconds()))


def number(count: int, kind: str = "") -> Html:
    """Return a number for a table; nothing is faint, the rest as `kind` says."""
    return tag("span", f"{count:,}", class_=(kind or None) if count else "faint zero")


def clipped(said: str, longest: int = LONGEST) -> str:
    """Return the beginning of a text, on one line."""
    line = " ".join(said.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def progress(fraction: float) -> Html | None:
    """Return a bar; None if nothing is done yet."""
    shown = f"{fraction:.3f}"
    return tag("progress", value=shown, max=1, aria_label="Progress") if fraction else None


def job_link(visit: Visit, job_id: str) -> Html:
    """Return a link to a job's page."""
    return tag("a", job_id, href=visit.url(f"/jobs/{job_id}"), class_="id")


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[Child]],
    *,
    label: str,
    numbers: Sequence[str] = (),
    keys: Sequence[str] = (),
) -> Html:
    """Return a table; on a narrow screen each row becomes a card that repeats the heads.

    `keys` name the rows, so that a page that is read again knows them.
    """
    head = tag("tr", [_head(one, numbers) for one in heads])
    body = [
        tag(
            "tr",
            [
                tag("td", cell, data_head=one, class_=_kind(one, numbers))
                for one, cell in zip(heads, cells, strict=True)
            ],
            data_key=keys[place] if keys else None,
        )
        for place, cells in enumerate(rows)
    ]
    caption = tag("caption", label, class_="unseen")
    inside = tag("table", caption, tag("thead", head), tag("tbody", body))
    return tag("div", inside, class_="scroll", role="region", aria_label=label, tabindex=0)


def empty(said: Child) -> Html:
    """Return what stands in the place of an empty list."""
    return tag("p", said, class_="empty")


def section(title: str, *body: Child, aside: Child = None) -> Html:
    """Return a part of a page with its heading."""
    beside = tag("div", aside, class_="aside") if aside else None
    return tag("section", tag("div", tag("h2", title), beside, class_="head"), *body, class_="card")


def button(  # noqa: PLR0913  # the parts of a form
    visit: Visit,
    label: str,
    path: str,
    *,
    back: str,
    kind: str = "",
    name: str = "",
    **fields: str,
) -> Html | None:
    """Return a form of one button that changes something; None for those who may only look.

    `name` says what it is about to those who hear the page.
    """
    if not visit.operates:
        return None
    spoken = f"{label} {name}" if name else None
    return tag(
        "form",
        hidden(back=back, **fields),
        tag("button", label, type="submit", class_=kind or None, aria_label=spoken),
        method="post",
        action=visit.url(path),
        class_="inline",
    )


def hidden(**fields: str) -> Html:
    """Return fields of a form that nobody sees."""
    return joined(
        tag("input", type="hidden", name=name, value=value) for name, value in fields.items()
    )


def _head(name: str, numbers: Sequence[str]) -> Html:
    shown: Child = tag("span", name, class_="unseen") if name == CHOOSE else name
    return tag("th", shown, scope="col", class_=_kind(name, numbers))


def _kind(head: str, numbers: Sequence[str]) -> str | None:
    return "number" if head in numbers else None
