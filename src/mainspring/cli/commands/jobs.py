"""`mainspring jobs`: list, show, cancel, retry, reschedule and remove jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from time import sleep
from typing import TYPE_CHECKING

from mainspring.cli.app_loader.audit import NO_DETAILS, changed_in, note
from mainspring.cli.app_loader.verbs import add_verb, run
from mainspring.cli.text.arguments import arguments_in, moment_in
from mainspring.cli.text.chosen import (
    STATES,
    Choice,
    add_choice,
    add_filter,
    chosen_ids,
    filter_in,
    said_in,
)
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
from mainspring.cli.text.progress import in_pieces
from mainspring.clock import monotonic
from mainspring.engine.upkeep.batches import in_batches
from mainspring.errors import UsageError
from mainspring.model.counted import counted
from mainspring.model.job import FINAL, JobState
from mainspring.model.stack_request import TITLE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from mainspring.queue import Queue

__all__ = ["add_options", "run"]

NOT_WAITING = "does not wait: it runs, has ended, or is not there"
STACK_PATIENCE = 15.0
"""Seconds to wait for a worker's answer; it looks every few seconds."""

LOOK_SECONDS = 0.2
_PENDING = (JobState.PENDING,)
_LIVE = (JobState.PENDING, JobState.RUNNING)
CANCEL = Choice("cancel", _LIVE, _LIVE)
RETRY = Choice("retry", (JobState.FAILED, JobState.CANCELLED), (JobState.FAILED,))
RUN_NOW = Choice("run-now", _PENDING, _PENDING)
RESCHEDULE = Choice("reschedule", _PENDING, _PENDING)
REPRIORITIZE = Choice("reprioritize", _PENDING, _PENDING)
REMOVE = Choice("rm", tuple(sorted(FINAL)), ())


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the commands and their options."""
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    listing = add_verb(verbs, "ls", "list jobs, newest first unless asked otherwise", list_jobs)
    listing.add_argument("--status", choices=STATES)
    add_filter(listing)
    listing.add_argument("--limit", type=int, default=50, help="(default: 50)")
    listing.add_argument("--cursor", help="where the last page ended")
    listing.add_argument("--page", type=int, metavar="N", help="its number, from 1")
    listing.add_argument("--order", choices=("newest", "oldest"), default="newest", help="first")
    showing = add_verb(verbs, "show", "show a job with its history and log", show_job)
    showing.add_argument("id")
    asking = add_verb(verbs, "why", "say why a job does not run", explain_job)
    asking.add_argument("id")
    locating = add_verb(verbs, "stack", "say where the body of a running job is", show_stack)
    locating.add_argument("id")
    cancelling = add_verb(verbs, "cancel", "cancel jobs that wait or run", cancel_jobs)
    add_choice(cancelling)
    retrying = add_verb(verbs, "retry", "let failed or cancelled jobs run again", retry_jobs)
    add_choice(retrying)
    retrying.add_argument("--all-failed", action="store_true", help="--status failed --yes")
    retrying.add_argument("--args", metavar="JSON", help="new arguments, as in '[1, 2]'")
    retrying.add_argument("--kwargs", metavar="JSON", help="new keyword arguments")
    hurrying = add_verb(verbs, "run-now", "let jobs that wait start now", run_jobs_now)
    add_choice(hurrying)
    moving = add_verb(verbs, "reschedule", "let jobs that wait start later, or sooner", move_jobs)
    add_choice(moving)
    times = moving.add_mutually_exclusive_group(required=True)
    times.add_argument("--delay", type=float, metavar="SECONDS", help="from now")
    times.add_argument("--at", metavar="TIME", help="as in 2030-01-31T08:00+01:00")
    ranking = add_verb(verbs, "reprioritize", "give jobs that wait another priority", rank_jobs)
    add_choice(ranking)
    ranking.add_argument("--priority", type=int, required=True, help="lower is more urgent")
    removing = add_verb(verbs, "rm", "remove jobs that have ended", remove_jobs)
    add_choice(removing)


def list_jobs(queue: Queue, options: argparse.Namespace) -> int:
    """Print one page of jobs."""
    page = queue.jobs(
        status=options.status,
        **filter_in(options),
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
        return _unknown(options)
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
        return _unknown(options)
    found = job.explain()
    if options.json:
        print_json(explanation_fields(found))
    else:
        print_lines([f"{found.task}, {found.state}: {reason}" for reason in found.reasons])
    return DONE


def show_stack(queue: Queue, options: argparse.Namespace) -> int:
    """Print the stack of a job's body; 1 if it does not run, or its worker does not answer."""
    job = queue.get_job(options.id)
    before = 0 if job is None else len(job.log)
    if job is None or not job.dump_stack():
        return _no_stack(options, f"{options.id} does not run")
    note(queue, "jobs stack", [job.id])
    deadline = monotonic() + STACK_PATIENCE
    while TITLE not in (lines := [line.text for line in job.log[before:]]):
        if monotonic() > deadline:
            said = f"the worker of {job.id} has not answered in {STACK_PATIENCE:g} s"
            return _no_stack(options, said)
        sleep(LOOK_SECONDS)
    stack = lines[lines.index(TITLE) + 1 :]
    if options.json:
        print_json({"id": job.id, "stack": stack})
    else:
        print_lines(stack)
    return DONE


def _unknown(options: argparse.Namespace) -> int:
    if options.json:
        print_json({"id": options.id, "status": None})
    else:
        print_lines([f"there is no job {options.id}"])
    return NOT_DONE


def _no_stack(options: argparse.Namespace, why: str) -> int:
    if options.json:
        print_json({"id": options.id, "stack": None, "why": why})
    else:
        print_lines([why])
    return NOT_DONE


def _indented(traceback: str) -> list[str]:
    """Return the lines of a traceback, none of which begins as a line of ours does."""
    return [f"  {line}" for line in traceback.rstrip().split("\n")]


def cancel_jobs(queue: Queue, options: argparse.Namespace) -> int:
    """Cancel jobs; 1 if any had ended or is unknown."""
    no = "can't be cancelled: it has ended, or never was"
    return _change(queue, options, CANCEL, queue.cancel, ("cancelled", no))


def retry_jobs(queue: Queue, options: argparse.Namespace) -> int:
    """Let jobs run again; 1 if any is neither failed nor cancelled."""
    if options.all_failed:
        if options.ids or options.status not in {None, JobState.FAILED}:
            raise UsageError("jobs retry: --all-failed goes with no ids and no other state")
        options.status, options.yes = JobState.FAILED.value, True
    if options.args is not None or options.kwargs is not None:
        return _retry_edited(queue, options)

    def retry(ids: Sequence[str]) -> list[bool]:
        again = queue.store.retry
        return [live is not None for batch in in_batches(ids) for live in again(batch)]

    no = "can't run again: there is no such job, or it is neither failed nor cancelled"
    return _change(queue, options, RETRY, retry, ("set to run again", no))


def run_jobs_now(queue: Queue, options: argparse.Namespace) -> int:
    """Let jobs start now; 1 if any does not wait."""
    said = ("may start now", NOT_WAITING)
    return _change(queue, options, RUN_NOW, queue.run_now, said)


def move_jobs(queue: Queue, options: argparse.Namespace) -> int:
    """Let jobs start at another time; 1 if any does not wait."""
    at = None if options.at is None else moment_in("--at", options.at)

    def move(ids: Sequence[str]) -> list[bool]:
        if len(options.ids) != 1:
            return queue.reschedule(ids, delay=options.delay, run_at=at)
        job = queue.get_job(ids[0])  # of one it is said if it would have expired by then
        return [job is not None and job.reschedule(delay=options.delay, run_at=at)]

    said, to = ("rescheduled", NOT_WAITING), {"delay": options.delay, "at": options.at}
    return _change(queue, options, RESCHEDULE, move, said, to)


def rank_jobs(queue: Queue, options: argparse.Namespace) -> int:
    """Give jobs another priority; 1 if any does not wait."""

    def rank(ids: Sequence[str]) -> list[bool]:
        return queue.reprioritize(ids, options.priority)

    said, to = ("given another priority", NOT_WAITING), {"priority": options.priority}
    return _change(queue, options, REPRIORITIZE, rank, said, to)


def remove_jobs(queue: Queue, options: argparse.Namespace) -> int:
    """Remove jobs; 1 if any has not ended."""

    def remove(ids: Sequence[str]) -> list[bool]:
        if options.ids:  # of each it is said whether it was there
            return [queue.drop(one) == 1 for one in ids]
        if queue.drop(ids) == len(ids):
            return [True] * len(ids)
        return [queue.store.get(one) is None for one in ids]

    no = "can't be removed: it has not ended, or is not there"
    return _change(queue, options, REMOVE, remove, ("removed", no))


def _change(  # noqa: PLR0913, PLR0917  # what is done, to which, and what is said of it
    queue: Queue,
    options: argparse.Namespace,
    choice: Choice,
    change: Callable[[Sequence[str]], list[bool]],
    said: tuple[str, str],
    details: Mapping[str, object] = NO_DETAILS,
) -> int:
    ids = chosen_ids(queue, options, choice)
    if ids is None:
        return DONE
    outcome: dict[str, bool] = {}
    try:
        for piece in in_pieces(ids, choice.verb):
            outcome.update(zip(piece, change(piece), strict=True))
    finally:  # also of what was changed before it was interrupted
        note(queue, f"jobs {choice.verb}", changed_in(outcome), {**said_in(options), **details})
    return _report(options, outcome, *said)


def _retry_edited(queue: Queue, options: argparse.Namespace) -> int:
    if len(options.ids) != 1:
        raise UsageError("jobs retry: --args and --kwargs are for one job; name exactly one id")
    if options.count:
        raise UsageError("jobs retry: --count goes with neither --args nor --kwargs")
    job = queue.get_job(options.ids[0])
    if job is None:
        return _report(
            options, {options.ids[0]: False}, "", "can't run again: there is no such job"
        )
    args, kwargs = arguments_in(options)
    job.retry(args=args, kwargs=kwargs)
    note(queue, "jobs retry", [job.id], {"arguments": "edited"})
    return _report(options, {job.id: True}, "runs again with new arguments", "")


def _report(options: argparse.Namespace, outcome: dict[str, bool], yes: str, no: str) -> int:
    if options.json:
        print_json(outcome)
    elif not options.ids:  # by filter: there may be thousands
        done = sum(outcome.values())
        print_lines([f"{counted(done, 'job')}: {yes}"] if outcome else ["no job fits"])
        left = len(outcome) - done
        print_lines([f"{counted(left, 'job')} {no}"] if left else [])
    else:
        print_lines(f"{job_id} {yes if done else no}" for job_id, done in outcome.items())
    return DONE if all(outcome.values()) else NOT_DONE
