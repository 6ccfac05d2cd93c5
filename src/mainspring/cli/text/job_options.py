"""Options of a job on a command line: those of `using`, as much of them as a line can say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.cli.text.arguments import json_in

if TYPE_CHECKING:
    import argparse

JOB_OPTIONS = (
    "queue",
    "priority",
    "unique",
    "expires",
    "retries",
    "timeout",
    "keep_result",
    "tags",
    "metadata",
)
"""The options by the names that `using` has for them."""


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--queue", metavar="NAME", help="(default: the task's)")
    parser.add_argument("--priority", type=int, metavar="N", help="lower is more urgent")
    parser.add_argument("--unique", metavar="KEY", help="no second live job of this key")
    parser.add_argument("--expires", type=float, metavar="SECONDS", help="to start within")
    parser.add_argument("--retries", type=int, metavar="N", help="(default: the task's)")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="(default: the task's)")
    parser.add_argument("--keep-result", type=float, metavar="SECONDS", help="after its end")
    parser.add_argument(
        "--tag", action="append", dest="tags", metavar="TAG", help="may be given several times"
    )
    parser.add_argument("--metadata", metavar="JSON", help="as in '{\"order\": 17}'")


def job_options_in(options: argparse.Namespace) -> dict[str, Any]:
    """Return those that were given, for `using`. Raises `InvalidOption`."""
    given = {name: getattr(options, name) for name in JOB_OPTIONS}
    if options.metadata is not None:
        given["metadata"] = json_in("--metadata", options.metadata, dict)
    return {name: value for name, value in given.items() if value is not None}
