"""`mainspring nodes`: the workers that live, and what they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.cli.printed import DONE, print_json, print_table
from mainspring.cli.target import add_target
from mainspring.cli.verbs import run

if TYPE_CHECKING:
    import argparse

    from mainspring.queue import Queue

__all__ = ["add_options", "run"]

HEADS = ("NODE", "HOST", "PID", "LEASE", "HOLDS", "SLOTS", "QUEUES")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_target(parser)
    parser.set_defaults(verb=list_nodes)


def list_nodes(queue: Queue, options: argparse.Namespace) -> int:
    """Print a line for each node."""
    nodes = queue.nodes()
    if options.json:
        print_json([node.fields() for node in nodes])
        return DONE
    rows = [
        (
            node.name,
            node.host,
            str(node.pid),
            f"{node.expires_in:.1f} s",
            str(node.running),
            _slots(node.report.get("slots", {})),
            ", ".join(node.serves.get("queues") or ["all"]),
        )
        for node in nodes
    ]
    print_table(HEADS, rows, numbers={"PID", "LEASE", "HOLDS"})
    return DONE


def _slots(slots: dict[str, Any]) -> str:
    return ", ".join(f"{kind} {one['running']}/{one['size']}" for kind, one in slots.items())
