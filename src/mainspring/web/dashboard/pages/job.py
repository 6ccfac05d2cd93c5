"""One job: why it does not run, its life as a picture, arguments, result, error, log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.counted import counted
from mainspring.model.crash import lost_its_workers
from mainspring.model.job import FINAL, JobState
from mainspring.web.dashboard.bulk_change import CHANGES
from mainspring.web.dashboard.html import Html, joined, tag
from mainspring.web.dashboard.timeline import MOST_ATTEMPTS, timeline
from mainspring.web.dashboard.visit import Done, Page, Refusal
from mainspring.web.dashboard.words import (
    badge,
    button,
    clipped,
    hidden,
    lasted,
    moment,
    past_moment,
    progress,
    section,
    state_of,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mainspring.model.note import LogLine
    from mainspring.model.view import AttemptRecord, JobRecord
    from mainspring.queue.explanation import Reason
    from mainspring.queue.job_handle import JobHandle
    from mainspring.web.dashboard.html import Child
    from mainspring.web.dashboard.redaction import RedactedJob
    from mainspring.web.dashboard.visit import Visit

WHY = {
    JobState.PENDING: "Why it waits",
    JobState.RUNNING: "What it does",
    **dict.fromkeys(FINAL, "How it ended"),
}
HEADS = ("No.", "Node", "Started", "Took", "Outcome", "Error")
MOST_LINES = 200
"""Lines shown of its log, the last ones."""

MOST_LETTERS = 20_000
"""Letters shown of one argument, or of the result."""


def job(visit: Visit) -> Page:
    """Return the page; raises Refusal if there is no such job (any more)."""
    handle = _known(visit)
    try:
        record, attempts, log = handle.record, handle.history, handle.log
        reasons = handle.explain().reasons
    except LookupError:
        raise _gone(visit) from None
    shown = visit.site.redaction.of(record)
    said = [tag("li", shown.text(one.text), " ", _mends(visit, record, one)) for one in reasons]
    picture = timeline(record, attempts, visit.now)
    body = joined(
        _lead(visit, shown),
        section(WHY[record.state], tag("ul", said, class_="reasons")),
        _progress(shown),
        section("Attempts", picture, _attempts(visit, shown, attempts)),
        tag("div", _arguments(shown), _facts(visit, shown), class_="two"),
        _result(shown),
        _error(shown),
        _log(shown, log),
    )
    return Page(f"Job {record.id}", body, live=True)


def retry(visit: Visit) -> Page | Done:
    """Let the job run again; after a question, if workers died of it."""
    handle = _known(visit)
    record = handle.record
    if lost_its_workers(record.failure) and ("confirmed", "yes") not in visit.form:
        return _question(visit, record)
    live = visit.site.store.retry([handle.id])[0]
    # Another job may bear its unique key, and is then the one that runs.
    return Done(f"/jobs/{live or visit.job_id}", "retried" if live else "unchanged")


def _question(visit: Visit, record: JobRecord) -> Page:
    shown = visit.site.redaction.of(record)
    path = f"/jobs/{record.id}"
    back = visit.back(path)
    times = "as it ran" if record.crashes == 1 else "one after the other, as each ran it"
    facts = (("Task", clipped(record.task)), ("Last error", clipped(shown.error or "", 500)))
    body = joined(
        tag(
            "p",
            f"This job took down {counted(record.crashes, 'worker')}, {times}. "
            "It may take the next one with it, too, and what else runs there.",
            class_="warning",
        ),
        tag("dl", [tag("div", tag("dt", n), tag("dd", said)) for n, said in facts], class_="facts"),
        tag(
            "form",
            hidden(confirmed="yes", back=back),
            tag("button", "Retry it all the same", type="submit", class_="danger"),
            tag("a", "Leave it", href=visit.root + back, class_="button"),
            method="post",
            action=visit.url(f"{path}/retry"),
            class_="actions",
        ),
    )
    return Page(f"Retry job {record.id}?", tag("section", body, class_="card"))


def cancel(visit: Visit) -> Done:
    """Cancel the job."""
    live = _known(visit).cancel()
    return Done(f"/jobs/{visit.job_id}", "cancelled" if live else "unchanged")


def run_now(visit: Visit) -> Done:
    """Let a job that waits for its time start now."""
    return Done(f"/jobs/{visit.job_id}", "run-now" if _known(visit).run_now() else "unchanged")


def dump_stack(visit: Visit) -> Done:
    """Ask the worker where the job's body is just now."""
    asked = _known(visit).dump_stack()
    return Done(f"/jobs/{visit.job_id}", "stack" if asked else "unchanged")


def _known(visit: Visit) -> JobHandle[object]:
    found = visit.site.queue.get_job(visit.job_id)
    if found is None:
        raise _gone(visit)
    return found


def _gone(visit: Visit) -> Refusal:
    return Refusal(404, f"There is no job {clipped(visit.job_id, 60)!r} (any more).")


def _lead(visit: Visit, shown: RedactedJob) -> Html:
    record = shown.record
    path, name = f"/jobs/{record.id}", f"job {record.id}"
    state = state_of(record, visit.now)
    acts: list[Html | None] = []
    if state in {"scheduled", "retrying"}:
        acts.append(button(visit, "Run now", f"{path}/run", back=path, kind="main", name=name))
    if record.state in {JobState.FAILED, JobState.CANCELLED}:
        # One that asks first is not the thing to do first.
        label, kind = ("Retry…", "") if lost_its_workers(record.failure) else ("Retry", "main")
        acts.append(button(visit, label, f"{path}/retry", back=path, kind=kind, name=name))
        if visit.operates:
            url = visit.url(f"{path}/edit")
            acts.append(tag("a", "Retry with other arguments…", href=url, class_="button"))
    for change in CHANGES.values():
        if change.asks and record.state in change.states:
            to = {"id": record.id, "action": change.name}
            back = "/jobs" if change.grave else path
            said = change.label.removesuffix(" of")
            acts.append(button(visit, f"{said}…", "/bulk", back=back, name=name, **to))
    if record.state is JobState.RUNNING:
        acts.append(button(visit, "Where is it?", f"{path}/stack", back=path, name=name))
    if record.state not in FINAL:
        acts.append(button(visit, "Cancel", f"{path}/cancel", back=path, kind="danger", name=name))
    task = tag("span", clipped(record.task), class_="task")
    return tag("div", badge(state), task, acts, class_="lead")


def _mends(visit: Visit, record: JobRecord, reason: Reason) -> Html | None:
    """Return the button that mends what a reason says, or the link to what is behind it."""
    if reason.why == "slots busy":
        return tag("a", "What runs there?", href=visit.url("/nodes"))
    if reason.why != "paused":
        return None
    back, name = f"/jobs/{record.id}", f"queue {record.queue}"
    return button(visit, "Resume", "/queues/resume", back=back, name=name, queue=record.queue)


def _progress(shown: RedactedJob) -> Html | None:
    record = shown.record
    if not record.progress and not record.message:
        return None
    said = clipped(f"{record.progress:.0%} {shown.text(record.message)}", 500)
    bar = progress(record.progress)
    return section("Progress", tag("p", bar, tag("span", said), class_="progress"))


def _attempts(visit: Visit, shown: RedactedJob, attempts: Sequence[AttemptRecord]) -> Html | None:
    if not attempts:
        return None
    last = attempts[-MOST_ATTEMPTS:]
    rows = [_attempt(visit, shown, one) for one in last]
    left = len(attempts) - len(last)
    return joined(
        table(
            HEADS,
            rows,
            label="Attempts, oldest first",
            numbers=("No.", "Took"),
            keys=[f"attempt {one.number}" for one in last],
        ),
        tag("p", f"{counted(left, 'earlier attempt')} left out", class_="faint") if left else None,
    )


def _attempt(visit: Visit, shown: RedactedJob, one: AttemptRecord) -> Sequence[Child]:
    said = "" if one.failure is None else shown.text(str(one.failure))
    return (
        f"{one.number:,}",
        clipped(one.node),
        past_moment(one.started_at, visit.now),
        lasted(one.started_at, one.ended_at or visit.now),
        badge(one.outcome or "running"),
        tag("span", clipped(said, 300), class_="message"),
    )


def _arguments(shown: RedactedJob) -> Html:
    given = [
        joined(tag("dt", clipped(name)), tag("dd", tag("pre", value[:MOST_LETTERS], tabindex=0)))
        for name, value in shown.arguments
    ]
    none = tag("p", "none", class_="faint")
    return section("Arguments", tag("dl", given, class_="arguments") if given else none)


def _facts(visit: Visit, shown: RedactedJob) -> Html:
    rows = [tag("div", tag("dt", name), tag("dd", value)) for name, value in _lines(visit, shown)]
    return section("Facts", tag("dl", rows, class_="facts"))


def _lines(visit: Visit, shown: RedactedJob) -> Iterator[tuple[str, Child]]:
    record, now = shown.record, visit.now
    queue = tag("a", clipped(record.queue), href=visit.url("/jobs", queue=record.queue))
    yield "Task", tag("a", clipped(record.task), href=visit.url("/jobs", task=record.task))
    yield "Queue", joined(queue, f", priority {record.priority}")
    yield "Created", past_moment(record.created_at, now)
    yield "Due", moment(record.run_at, now)
    yield "Started", past_moment(record.started_at, now, "not yet")
    yield "Ended", past_moment(record.completed_at, now, "not yet")
    if record.expires_at is not None:
        yield "Expires", moment(record.expires_at, now)
    crashes = f", {counted(record.crashes, 'crash', 'crashes')}" if record.crashes else ""
    yield "Attempts", f"{record.attempts:,}{crashes}"
    if record.node is not None:
        yield "Node", tag("a", clipped(record.node), href=visit.url("/nodes"))
    if tags := record.options.tags:
        links = [tag("a", clipped(one), href=visit.url("/jobs", tag=one)) for one in tags]
        yield "Tags", joined(*(part for link in links for part in (link, " ")))
    for name, value in shown.metadata:
        yield clipped(name), clipped(value)


def _result(shown: RedactedJob) -> Html | None:
    if shown.record.state is not JobState.COMPLETED or shown.result is None:
        return None
    return section("Result", tag("pre", shown.result[:MOST_LETTERS], tabindex=0))


def _error(shown: RedactedJob) -> Html | None:
    failure = shown.record.failure
    if failure is None:
        return None
    trace = shown.text(failure.traceback).rstrip()
    return section(
        "Last error",
        tag("p", shown.error, class_="trouble"),
        tag("pre", trace, tabindex=0) if trace else None,
    )


def _log(shown: RedactedJob, log: Sequence[LogLine]) -> Html | None:
    if not log:
        return None
    last = log[-MOST_LINES:]
    lines = "\n".join(f"{one.at:%H:%M:%S.%f}  {shown.text(one.text)}" for one in last)
    said = f"the last {MOST_LINES} of {len(log):,} lines" if len(log) > MOST_LINES else None
    return section("Log", tag("pre", lines, tabindex=0, class_="log"), aside=said)
