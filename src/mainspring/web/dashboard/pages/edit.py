"""A failed or cancelled job whose arguments are edited before it runs again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.job import JobState
from mainspring.web.dashboard.edited_call import CallForm, NotEditable
from mainspring.web.dashboard.html import joined, tag
from mainspring.web.dashboard.visit import Done, Page, Refusal
from mainspring.web.dashboard.words import clipped

if TYPE_CHECKING:
    from mainspring.web.dashboard.visit import Visit

RETRIED = frozenset({JobState.FAILED, JobState.CANCELLED})
CONFLICT = 409


def edit(visit: Visit) -> Page:
    """Return the form; raises Refusal if there is no such job, or none that can be edited."""
    form = _form(visit)
    return _page(visit, form, *form.texts)


def retry_edited(visit: Visit) -> Page | Done:
    """Let the job run again with the arguments that the form says, or show what is wrong."""
    form = _form(visit)
    args, kwargs = visit.field("args"), visit.field("kwargs")
    try:
        edited = form.edited(args, kwargs)
    except NotEditable as error:
        return _page(visit, form, args, kwargs, str(error))
    live = visit.site.store.retry([visit.job_id], payload=edited.payload)[0]
    details = {"arguments": f"edited: {', '.join(edited.names)}" if edited.names else "the same"}
    notice = "retried" if live else "unchanged"
    return Done(f"/jobs/{live or visit.job_id}", notice, details=details)


def _form(visit: Visit) -> CallForm:
    handle = visit.site.queue.get_job(visit.job_id)
    if handle is None:
        raise Refusal(404, f"There is no job {clipped(visit.job_id, 60)!r} (any more).")
    record = handle.record
    if record.state not in RETRIED:
        why = f"The job is {record.state}: only failed and cancelled jobs run again."
        raise Refusal(CONFLICT, why)
    try:
        return CallForm(visit.site, record)
    except NotEditable as error:
        raise Refusal(CONFLICT, f"The job can't be edited here: {error}.") from None


def _page(visit: Visit, form: CallForm, args: str, kwargs: str, trouble: str = "") -> Page:
    path = f"/jobs/{visit.job_id}"
    known = form.parameters
    takes = "The task is not known here: what it takes is not checked."
    if known is not None:
        takes = f"The task takes: {', '.join(known)}." if known else "The task takes no arguments."
    fields = [
        tag(
            "p",
            tag("label", label, for_=name),
            tag("textarea", value, id=name, name=name, rows=_rows(value), spellcheck="false"),
        )
        for label, name, value in (
            ("Arguments by place, a JSON list", "args", args),
            ("Arguments by name, a JSON object", "kwargs", kwargs),
        )
    ]
    body = joined(
        tag("p", trouble, class_="trouble", role="alert") if trouble else None,
        tag("p", takes, " The job keeps its id, its history and its unique key.", class_="faint"),
        tag(
            "form",
            fields,
            tag(
                "span",
                tag("button", "Retry with these", type="submit", class_="main"),
                tag("a", "Leave it", href=visit.url(path), class_="button"),
                class_="actions",
            ),
            method="post",
            action=visit.url(f"{path}/edit"),
            class_="edit",
        ),
    )
    title = f"Retry job {visit.job_id} with other arguments"
    return Page(title, tag("section", body, class_="card"), status=400 if trouble else 200)


def _rows(text: str) -> int:
    return min(24, max(3, text.count("\n") + 2))
