"""`mainspring doctor`: look whether the store is well, and say what to do where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.cli.app_loader.queue import add_target
from mainspring.cli.app_loader.verbs import run
from mainspring.cli.text.printed import DONE, NOT_DONE, print_json, print_lines
from mainspring.model.diagnosis import Diagnosis

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from mainspring.queue import Queue

__all__ = ["add_options", "run"]

SIGNS = {"ok": "ok     ", "warning": "warning", "problem": "PROBLEM"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_target(parser)
    parser.set_defaults(verb=examine)


def examine(queue: Queue, options: argparse.Namespace) -> int:
    """Print what is found; 1 if anything is a problem."""
    findings = list(queue.examine())
    if not any(one.level == "problem" for one in findings):
        findings += _of_the_work(queue)
    if options.json:
        print_json(findings)
    else:
        print_lines(line for one in findings for line in _lines(one))
    return NOT_DONE if any(one.level == "problem" for one in findings) else DONE


def _lines(finding: Diagnosis) -> Iterator[str]:
    yield f"{SIGNS[finding.level]}  {finding.check:<10} {finding.says}"
    if finding.remedy:
        yield f"{'':<20} -> {finding.remedy}"


def _of_the_work(queue: Queue) -> Iterator[Diagnosis]:
    stats, nodes, paused = queue.stats(), queue.nodes(), queue.paused()
    yield _workers(len(nodes), stats["pending"])
    late = [node.name for node in nodes if node.expires_in < 0]
    if late:
        says = f"{', '.join(late)} did not renew its lease"
        yield Diagnosis(
            "leases", "warning", says, "a live worker takes its jobs over within seconds"
        )
    if stats["unclaimable"]:
        says = f"{stats['unclaimable']:,} pending jobs are of tasks that no live worker knows"
        yield Diagnosis("tasks", "warning", says, "start a worker whose --app has these tasks")
    for name in paused:
        waiting = stats["queues"].get(name, {}).get("pending", 0)
        says = f"{name} is paused, {waiting:,} jobs wait there"
        yield Diagnosis("queue", "warning", says, f"mainspring queues resume {name}")
    if stats["failed"]:
        says = f"{stats['failed']:,} jobs have failed for good"
        yield Diagnosis("failed", "warning", says, "mainspring jobs ls --status failed")


def _workers(count: int, pending: int) -> Diagnosis:
    if count or not pending:
        return Diagnosis("workers", "ok", f"{count} live, {pending:,} jobs wait")
    says = f"no worker lives, and {pending:,} jobs wait"
    return Diagnosis("workers", "warning", says, "start one: mainspring worker --app module:queue")
