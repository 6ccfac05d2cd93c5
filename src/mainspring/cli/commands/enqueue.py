"""`mainspring enqueue TASK`: enqueue a job from the command line."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mainspring.cli.app_loader.audit import note
from mainspring.cli.app_loader.queue import add_target
from mainspring.cli.app_loader.verbs import run
from mainspring.cli.text.arguments import arguments_in
from mainspring.cli.text.job import job_fields, text_of
from mainspring.cli.text.job_options import add_job_options, job_options_in
from mainspring.cli.text.printed import DONE, NOT_DONE, print_json, print_lines
from mainspring.errors import JobError, UsageError
from mainspring.model.duration import seconds_of
from mainspring.model.job import FINAL, JobState
from mainspring.model.stored_json import stored_json

if TYPE_CHECKING:
    import argparse

    from mainspring.model.view import JobRecord
    from mainspring.queue import Queue
    from mainspring.queue.queue_task import QueueTask

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_target(parser)
    parser.add_argument("task", metavar="TASK", help="its name, or the last part of that")
    parser.add_argument("--args", metavar="JSON", help="as in '[1, \"two\"]'")
    parser.add_argument("--kwargs", metavar="JSON", help="as in '{\"name\": 1}'")
    parser.add_argument("--delay", type=float, metavar="SECONDS")
    parser.add_argument("--idempotency-key", metavar="KEY", help="one job of this key in 24 hours")
    add_job_options(parser)
    parser.add_argument(
        "--wait", type=float, metavar="SECONDS", help="wait for its end, and print the result"
    )
    parser.set_defaults(verb=enqueue)


def enqueue(queue: Queue, options: argparse.Namespace) -> int:
    """Enqueue a job and print its id; with `--wait`, 1 if it did not complete in time."""
    task = task_named(queue, options.task)
    given: dict[str, Any] = job_options_in(options)
    for name in ("delay", "idempotency_key"):
        if (value := getattr(options, name)) is not None:
            given[name] = value
    args, kwargs = arguments_in(options)
    # Before the job is there: who reads of an error gives the command again.
    wait = None if options.wait is None else seconds_of("enqueue", "--wait", options.wait)
    job = task.using(**given).delay(*args, **kwargs)
    note(queue, "enqueue", [job.id], {"task": task.name})
    if wait is not None:
        # The end of the job is printed, and is the exit code.
        with suppress(JobError, TimeoutError, LookupError):
            job.result(wait)
    try:
        record = job.record
    except LookupError as gone:  # an idempotency key outlives its job
        if options.json:
            print_json({"id": job.id, "status": None})
        else:
            print_lines([str(gone)])
        return NOT_DONE
    if options.json:
        print_json(job_fields(record))
    else:
        result = "" if record.result is None else f" {text_of(stored_json(record.result))}"
        print_lines([f"{record.id} {record.state}{result}{_of_before(record, options)}"])
    return DONE if options.wait is None or record.state is JobState.COMPLETED else NOT_DONE


def _of_before(record: JobRecord, options: argparse.Namespace) -> str:
    """Return that the job is an earlier one, which its idempotency key has kept from a second."""
    if options.wait is not None or options.idempotency_key is None or record.state not in FINAL:
        return ""
    return " already: the job of this idempotency key, so that no other was enqueued"


def task_named(queue: Queue, name: str) -> QueueTask[..., Any, Any]:
    """Return the task of that name, or the only one whose name ends in it.

    Raises `UsageError`.
    """
    names = [known.name for known in queue.tasks]
    found = [known for known in names if known == name or known.endswith(f".{name}")]
    task = queue.get_task(name) or (queue.get_task(found[0]) if len(found) == 1 else None)
    if task is None:
        known = f"it knows {', '.join(sorted(names))}" if names else "name it with --app"
        raise UsageError(f"enqueue: the queue has no task {name!r}; {known}")
    return task
