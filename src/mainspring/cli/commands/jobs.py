"""`mainspring jobs`: list, show, cancel, retry, reschedule and remove jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mainspring.cli.app_loader.audit import changed_in, note
from mainspring.cli.app_loader.verbs import add_verb, run
from mainspring.cli.text.arguments import arguments_in, moment_in
from mainspring.cli.text.job import (
    ATTEMPT_DISPENSABLE,
    ATTEMPT_HEADS,
    JOB_DISPENSABLE,
    JOB_HEADS,
    attempt_fields,
    attempt_rows,
    explanation_fields,
    job_fields,
    job_lines,
    job_row,
    log_fields,
)
from mainspring.cli.text.printed import DONE, NOT_DONE, print_json, print_lines, print_table
from mainspring.errors import UsageError
from mainspring.model.job import JobState

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from mainspring.queue import Queue
    from mainspring.queue.job_handle import JobHandle

STATES = [state.value for state in JobState]
__all__ = ["add_options", "run"]

NOT_WAITING = "does not wait: it runs, has ended, or is not there"
PAGE = 500
"""Jobs that a command over all of them takes at a time."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the commands and their options."""
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    listing = add_verb(verbs, "ls", "list jobs, newest first unless asked otherwise", list_jobs)
    listing.add_argument("--status", choices=STATES)
    _add_filter(listing)
    listing.add_argument("--tag", metavar="TAG", help="that bear this tag")
    listing.add_argument("--search", metavar="TEXT", help="in id, task, arguments or error")
    listing.add_argument("--limit", type=int, default=50, help="(default: 50)")
    listing.add_argument("--cursor", help="where the last page ended")
    listing.add_argument("--page", type=int, metavar="N", help="its number, from 1")
    listing.add_argument("--order", choices=("newest", "oldest"), default="newest", help="first")
    showing = add_verb(verbs, "show", "show a job with its history and log", show_job)
    showing.add_argument("id")
    asking = add_verb(verbs, "why", "say why a job does not run", explain_job)
    asking.add_argument("id")
    cancelling = add_verb(verbs, "cancel", "cancel jobs that wait or run", cancel_jobs)
    cancelling.add_argument("ids", nargs="+", metavar="ID")
    retrying = add_verb(verbs, "retry", "let failed or cancelled jobs run again", retry_jobs)
    retrying.add_argument("ids", nargs="*", metavar="ID")
    retrying.add_argument("--all-failed", action="store_true", help="every failed job")
    _add_filter(retrying)
    retrying.add_argument("--args", metavar="JSON", help="new arguments, as in '[1, 2]'")
    retrying.add_argument("--kwargs", metavar="JSON", help="new keyword arguments")
    hurrying = add_verb(verbs, "run-now", "let jobs that wait start now", run_jobs_now)
    hurrying.add_argument("ids", nargs="+", metavar="ID")
    moving = add_verb(verbs, "reschedule", "let jobs that wait start later, or sooner", move_jobs)
    moving.add_argument("ids", nargs="+", metavar="ID")
    times = moving.add_mutually_exclusive_group(required=True)
    times.add_argument("--delay", type=float, metavar="SECONDS", help="from now")
    times.add_argument("--at", metavar="TIME", help="as in 2030-01-31T08:00+01:00")
    removing = add_verb(verbs, "rm", "remove jobs that have ended", remove_jobs)
    removing.add_argument("ids", nargs="+", metavar="ID")


def list_jobs(queue: Queue, options: argparse.Namespace) -> int:
    """Print one page of jobs."""
    page = queue.jobs(
        status=options.status,
        queue=options.queue,
        task=options.task,
        tag=options.tag,
        search=options.search,
        cursor=options.cursor,
        page=options.page,
        order=options.order,
        limit=options.limit,
    )
    records = page.records
    if options.json:
        found = {"jobs": [job_fields(one) for one in records], "cursor": page.cursor}
        print_json(found if page.looked is None else {**found, "looked": page.looked})
        return DONE
    now, tagged = datetime.now(UTC), any(one.options.tags for one in records)
    print_table(
        JOB_HEADS if tagged else JOB_HEADS[:-1],
        [job_row(one, now, tagged=tagged) for one in records],
        numbers={"ATTEMPT"},
        dispensable=JOB_DISPENSABLE,
    )
    if page.looked is not None:
        print_lines([f"looked through {page.looked:,} jobs"])
    if page.cursor is not None:
        print_lines([f"more: --cursor {page.cursor}"])
    return DONE


def show_job(queue: Queue, options: argparse.Namespace) -> int:
    """Print a job with its history and log."""
    job = queue.get_job(options.id)
    if job is None:
        print_lines([f"there is no job {options.id}"])
        return NOT_DONE
    record, attempts, log = job.record, job.history, job.log
    if options.json:
        history = [attempt_fields(one) for one in attempts]
        lines = [log_fields(one) for one in log]
        print_json({**job_fields(record), "history": history, "log": lines})
        return DONE
    print_lines(job_lines(record))
    if attempts:
        print_lines([""])
        print_table(
            ATTEMPT_HEADS,
            attempt_rows(attempts, datetime.now(UTC)),
            dispensable=ATTEMPT_DISPENSABLE,
        )
    if record.failure is not None and record.failure.traceback:
        print_lines(["", *_indented(record.failure.traceback)])
    if log:
        print_lines(["", *(f"{line.at:%H:%M:%S.%f} {line.text}" for line in log)])
    return DONE


def explain_job(queue: Queue, options: argparse.Namespace) -> int:
    """Print why a job does not run, one reason a line."""
    job = queue.get_job(options.id)
    if job is None:
        print_lines([f"there is no job {options.id}"])
        return NOT_DONE
    found = job.explain()
    if options.json:
        print_json(explanation_fields(found))
    else:
        print_lines([f"{found.task}, {found.state}: {reason}" for reason in found.reasons])
    return DONE


def _indented(traceback: str) -> list[str]:
    """Return the lines of a traceback, none of which begins as a line of ours does."""
    return [f"  {line}" for line in traceback.rstrip().split("\n")]


def cancel_jobs(queue: Queue, options: argparse.Namespace) -> int:
    """Cancel jobs; 1 if any had ended or is unknown."""
    live = dict(zip(options.ids, queue.cancel(options.ids), strict=True))
    note(queue, "jobs cancel", changed_in(live))
    return _report(
        options,
        live,
        "cancelled",
        "can't be cancelled: it has ended, or never was",
    )


def retry_jobs(queue: Queue, options: argparse.Namespace) -> int:
    """Let jobs run again; 1 if any is neither failed nor cancelled."""
    if bool(options.ids) is options.all_failed:
        raise UsageError(
            "jobs retry: it is not clear which jobs are meant; name their ids, or give "
            "--all-failed, which --queue and --task can narrow"
        )
    if options.args is not None or options.kwargs is not None:
        return _retry_edited(queue, options)
    ids = [job.id for job in _failed(queue, options)] if options.all_failed else options.ids
    outcome = {one: live is not None for one, live in zip(ids, queue.retry(ids), strict=True)}
    chosen = {"queue": options.queue, "task": options.task} if options.all_failed else {}
    note(queue, "jobs retry", changed_in(outcome), chosen)
    no = "can't run again: there is no such job, or it is neither failed nor cancelled"
    return _report(options, outcome, "runs again", no)


def run_jobs_now(queue: Queue, options: argparse.Namespace) -> int:
    """Let jobs start now; 1 if any does not wait."""
    moved = _each(queue, options.ids, lambda job: job.run_now())
    note(queue, "jobs run-now", changed_in(moved))
    return _report(options, moved, "may start now", NOT_WAITING)


def move_jobs(queue: Queue, options: argparse.Namespace) -> int:
    """Let jobs start at another time; 1 if any does not wait."""
    at = None if options.at is None else moment_in("--at", options.at)
    moved = _each(queue, options.ids, lambda job: job.reschedule(delay=options.delay, run_at=at))
    to = {"delay": options.delay, "at": options.at}
    note(queue, "jobs reschedule", changed_in(moved), to)
    return _report(options, moved, "is rescheduled", NOT_WAITING)


def _each(
    queue: Queue, job_ids: list[str], move: Callable[[JobHandle[Any]], bool]
) -> dict[str, bool]:
    jobs = {job_id: queue.get_job(job_id) for job_id in job_ids}
    return {job_id: job is not None and move(job) for job_id, job in jobs.items()}


def remove_jobs(queue: Queue, options: argparse.Namespace) -> int:
    """Remove jobs; 1 if any has not ended."""
    outcome = {one: queue.drop(one) == 1 for one in options.ids}
    note(queue, "jobs rm", changed_in(outcome))
    return _report(
        options, outcome, "removed", "can't be removed: it has not ended, or is not there"
    )


def _retry_edited(queue: Queue, options: argparse.Namespace) -> int:
    if len(options.ids) != 1:
        raise UsageError("jobs retry: --args and --kwargs are for one job; name exactly one id")
    job = queue.get_job(options.ids[0])
    if job is None:
        return _report(
            options, {options.ids[0]: False}, "", "can't run again: there is no such job"
        )
    args, kwargs = arguments_in(options)
    job.retry(args=args, kwargs=kwargs)
    note(queue, "jobs retry", [job.id], {"arguments": "edited"})
    return _report(options, {job.id: True}, "runs again with new arguments", "")


def _failed(queue: Queue, options: argparse.Namespace) -> Iterator[JobHandle[Any]]:
    cursor = None
    while True:
        page = queue.dead_letters(queue=options.queue, task=options.task, cursor=cursor, limit=PAGE)
        yield from page
        cursor = page.cursor
        if cursor is None:
            return


def _report(options: argparse.Namespace, outcome: dict[str, bool], yes: str, no: str) -> int:
    if options.json:
        print_json(outcome)
    else:
        print_lines(f"{job_id} {yes if done else no}" for job_id, done in outcome.items())
    return DONE if all(outcome.values()) else NOT_DONE


def _add_filter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--queue", metavar="NAME", help="of this queue only")
    parser.add_argument("--task", metavar="NAME", help="of this task only")
