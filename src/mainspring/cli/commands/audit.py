"""`mainspring audit`: who has changed what, from the dashboard and the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mainspring.cli.app_loader.queue import add_target
from mainspring.cli.app_loader.verbs import run
from mainspring.cli.text.printed import DONE, print_json, print_lines, print_table
from mainspring.model.duration import distance

if TYPE_CHECKING:
    import argparse

    from mainspring.model.audit import AuditEntry
    from mainspring.queue import Queue

__all__ = ["add_options", "run"]

HEADS = ("WHEN", "WHO", "FROM", "ACTION", "COUNT", "WHAT")
DISPENSABLE = ("FROM", "WHAT", "WHO")
FEW = 3
"""Targets that a line names."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_target(parser)
    parser.add_argument("--limit", type=int, default=50, help="(default: 50)")
    parser.add_argument("--cursor", help="where the last page ended")
    parser.set_defaults(verb=show_audit)


def show_audit(queue: Queue, options: argparse.Namespace) -> int:
    """Print a page of changes, newest first."""
    page = queue.audit(cursor=options.cursor, limit=options.limit)
    if options.json:
        print_json({"changes": [_fields(one) for one in page], "cursor": page.cursor})
        return DONE
    now = datetime.now(UTC)
    print_table(
        HEADS, [_cells(one, now) for one in page], numbers={"COUNT"}, dispensable=DISPENSABLE
    )
    if page.cursor is not None:
        print_lines([f"more: --cursor {page.cursor}"])
    return DONE


def _cells(entry: AuditEntry, now: datetime) -> tuple[str, ...]:
    when = distance(entry.at, now)
    if entry.unreadable:
        return (when, "", "", "can't be read", "", "")
    more = f" and {entry.count - FEW:,} more" if entry.count > FEW else ""
    named = ", ".join(entry.targets[:FEW]) + more
    details = ", ".join(f"{name}: {value}" for name, value in entry.details.items())
    said = "; ".join(one for one in (named, details) if one)
    return (when, entry.actor, entry.via, entry.action, f"{entry.count:,}", said)


def _fields(entry: AuditEntry) -> dict[str, Any]:
    return {
        "at": entry.at,
        "actor": entry.actor,
        "via": entry.via,
        "action": entry.action,
        "targets": list(entry.targets),
        "count": entry.count,
        "details": dict(entry.details),
        "unreadable": entry.unreadable,
    }
