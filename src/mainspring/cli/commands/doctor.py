"""`mainspring doctor`: look whether the store is well, and say what to do where it is not."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Any

from mainspring.cli.app_loader.queue import add_target, store_option
from mainspring.cli.app_loader.verbs import run
from mainspring.cli.text.printed import DONE, NOT_DONE, print_json, print_lines
from mainspring.model.capabilities import unclaimable
from mainspring.model.counted import counted
from mainspring.model.diagnosis import Diagnosis
from mainspring.model.duration import span
from mainspring.model.printable import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterator, Mapping

    from mainspring.queue import Queue

__all__ = ["add_options", "run"]

SIGNS = {"ok": "ok     ", "warning": "warning", "problem": "PROBLEM"}

START = "start a worker: mainspring worker --app module:queue"
SLOTS = (
    "see what holds the slots: mainspring jobs ls --status running --order oldest; "
    "or add some: mainspring worker --app module:queue"
)
LONG_SECONDS = 300.0
"""Age of the oldest ready job from which on a queue has a backlog."""

GROWING_SECONDS = 60.0
"""The same of a queue that grows: more jobs come than end by a tenth, and not fewer are ready."""

GROWTH = 1.1
TAKEN_OVER = "a live worker takes its jobs over within seconds"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_target(parser)
    parser.set_defaults(verb=examine)


def examine(queue: Queue, options: argparse.Namespace) -> int:
    """Print what is found; 1 if anything is a problem."""
    findings = list(queue.examine())
    if not any(one.level == "problem" for one in findings):
        findings += _of_the_work(queue, store_option(options))
    if options.json:
        print_json(findings)
    else:
        print_lines(line for one in findings for line in _lines(one))
    return NOT_DONE if any(one.level == "problem" for one in findings) else DONE


def _lines(finding: Diagnosis) -> Iterator[str]:
    yield f"{SIGNS[finding.level]}  {finding.check:<10} {finding.says}"
    if finding.remedy:
        yield f"{'':<20} -> {finding.remedy}"


def _of_the_work(queue: Queue, named: str) -> Iterator[Diagnosis]:
    stats, nodes, paused = queue.stats(), queue.nodes(), queue.paused()
    live = stats["workers"]
    yield _workers(live, stats["pending"])
    late = [node.name for node in nodes if not node.live]
    if late:
        says = f"{', '.join(late)} was killed, or did not renew its lease"
        yield Diagnosis("leases", "warning", says, TAKEN_OVER if live else START)
    silent = [node.name for node in nodes if node.state == "silent"]
    if silent:
        says = f"{', '.join(silent)} has missed heartbeats: suspended, cut off, or very busy"
        yield Diagnosis("leases", "warning", says, "look at its host, and at: mainspring nodes")
    if live and stats["unclaimable"]:
        says = f"{counted(stats['unclaimable'], 'pending job')} of tasks that no live worker knows"
        yield Diagnosis("tasks", "warning", says, "start a worker whose --app has these tasks")
    if live:
        yield from _backlogs(queue, stats, paused)
    yield from _locks(queue)
    for name in paused:
        waiting = stats["queues"].get(name, {}).get("pending", 0)
        says = f"{name} is paused, {_waiting(waiting)} there"
        yield Diagnosis("queue", "warning", says, f"mainspring queues resume {quote(name)}{named}")
    if stats["failed"]:
        says = f"{counted(stats['failed'], 'job has', 'jobs have')} failed for good"
        yield Diagnosis("failed", "warning", says, f"mainspring jobs ls --status failed{named}")


def _backlogs(
    queue: Queue, stats: Mapping[str, Any], paused: Collection[str]
) -> Iterator[Diagnosis]:
    """Yield the queues whose ready jobs wait for long though workers take them, or pile up."""
    lanes, nodes = queue.store.lanes(), queue.store.nodes()
    nobodys = {(one.queue, one.task) for one in unclaimable(lanes, nodes)}
    oldest: dict[str, float] = {}
    for lane in lanes:
        if lane.oldest_ready is not None and (lane.queue, lane.task) not in nobodys:
            oldest[lane.queue] = max(lane.oldest_ready, oldest.get(lane.queue, 0.0))
    for name in sorted(oldest.keys() - set(paused)):
        now = stats["queues"].get(name, {})
        recent = now.get("recent") or {}
        came, out = recent.get("in") or 0.0, recent.get("out", 0.0)
        grows = came > GROWTH * out and recent["empty_in"] is None
        if oldest[name] >= (GROWING_SECONDS if grows else LONG_SECONDS):
            ready = counted(now.get("ready", 0), "ready job")
            says = f"{printable(name)} has {ready}, the oldest for {span(oldest[name])}"
            if grows:
                says += f", and grows: {60 * came:,.1f} a minute come, {60 * out:,.1f} end"
            yield Diagnosis("backlog", "warning", says, f"{SLOTS} --queues {quote(name)}")


def _locks(queue: Queue) -> Iterator[Diagnosis]:
    late = {node.key for node in queue.store.nodes() if node.expires_in < 0}
    for lock in queue.locks():
        since = f" since {lock.since:%Y-%m-%d %H:%M:%S} UTC" if lock.since else ""
        says = f"{lock.node_name} holds {printable(lock.name)}{since}, fence {lock.fence}"
        if lock.node in late:
            says += ", and did not renew its lease"
            yield Diagnosis("held lock", "warning", says, "it is free once another asks for it")
        else:
            yield Diagnosis("held lock", "ok", says)


def _workers(count: int, pending: int) -> Diagnosis:
    if count or not pending:
        return Diagnosis("workers", "ok", f"{count} live, {_waiting(pending)}")
    return Diagnosis("workers", "warning", f"no worker is live, and {_waiting(pending)}", START)


def _waiting(count: int) -> str:
    return counted(count, "job waits", "jobs wait")
