"""`mainspring nodes`: the workers that live, and were lost; what they do; who holds which lock."""

from __future__ import annotations

from datetime import UTC, datetime
from socket import gethostname
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from mainspring.cli.app_loader.queue import add_target
from mainspring.cli.app_loader.verbs import run
from mainspring.cli.text.printed import DONE, NOT_DONE, print_json, print_lines, print_table
from mainspring.model.counted import counted
from mainspring.model.duration import distance
from mainspring.model.printable import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from mainspring.model.view import LockRecord
    from mainspring.queue import Queue
    from mainspring.queue.nodes import NodeInfo

__all__ = ["add_options", "run"]

HEADS = ("NODE", "STATE", "HOST", "PID", "LEASE", "HOLDS", "SLOTS", "REPORTED", "QUEUES")
DISPENSABLE = ("QUEUES", "REPORTED", "SLOTS", "HOST", "PID", "HOLDS")
MOST_LOST = 10
"""Lost nodes that get a line, the newest; `--json` has all."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_target(parser)
    parser.add_argument(
        "--here", action="store_true", help="those of this host; exit code 1 if none is live"
    )
    parser.set_defaults(verb=list_nodes)


def list_nodes(queue: Queue, options: argparse.Namespace) -> int:
    """Print a line for each node; with `--here`, 1 if none of this host is live."""
    nodes, lost = queue.nodes(), queue.lost_nodes()
    if options.here:
        nodes, host = [node for node in nodes if node.here], gethostname()
        lost = [one for one in lost if one.host == host]
    if options.json:
        held = [_lock_fields(lock) for lock in queue.locks()]
        gone = [to_builtins(one, builtin_types=(datetime,)) for one in lost]
        print_json({"nodes": [_fields(node) for node in nodes], "lost": gone, "locks": held})
    else:
        now = datetime.now(UTC)
        cells = [_cells(node, now) for node in nodes]
        print_table(HEADS, cells, numbers={"PID", "LEASE", "HOLDS"}, dispensable=DISPENSABLE)
        print_lines(f"{distance(one.at, now)}: node {one}" for one in lost[:MOST_LOST])
        print_lines(
            f"{lock.node_name} holds lock {printable(lock.name)}, fence {lock.fence}"
            + (f", since {distance(lock.since, now)}" if lock.since else "")
            for lock in queue.locks()
        )
        print_lines(
            f"{node.name} runs worker {printable(one.name)}: {printable(one.state)}, "
            f"{counted(one.runs, 'run')}, {counted(one.errors, 'error')}"
            + (", hanging" if one.hanging else "")
            + (f"; the last: {printable(one.error)}" if one.error else "")
            for node in nodes
            for one in node.workers
        )
        print_lines(
            f"{node.name}: the stored {', '.join(node.unreadable)} can't be read"
            for node in nodes
            if node.unreadable
        )
    return NOT_DONE if options.here and not any(node.live for node in nodes) else DONE


def _fields(node: NodeInfo) -> dict[str, Any]:
    return {
        "name": node.name,
        "host": node.host,
        "pid": node.pid,
        "state": node.state,
        "live": node.live,
        "expires_in": node.expires_in,
        "running": node.running,
        "here": node.here,
        "tasks": _names(node.serves.tasks),
        "queues": _names(node.serves.queues),
        "report": node.report,
        "unreadable": list(node.unreadable),
    }


def _lock_fields(lock: LockRecord) -> dict[str, Any]:
    held = {"name": lock.name, "holder": lock.node_name, "fence": lock.fence}
    return {**held, "since": lock.since}


def _names(some: Iterable[str] | None) -> list[str] | None:
    return None if some is None else sorted(some)


def _cells(node: NodeInfo, now: datetime) -> tuple[str, ...]:
    slots = {} if "report" in node.unreadable else node.report.get("slots", {})
    return (
        node.name,
        node.state,
        node.host,
        str(node.pid),
        f"{node.expires_in:.1f} s",
        str(node.running),
        ", ".join(f"{kind} {one['running']}/{one['size']}" for kind, one in slots.items()),
        distance(node.reported_at, now),
        ", ".join(sorted(node.serves.queues or ["all"])),
    )
