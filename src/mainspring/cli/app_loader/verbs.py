"""Commands of two words, such as `jobs ls`: each verb is a function of a queue and the options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.cli.app_loader.queue import add_target, queue_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from mainspring.queue import Queue

    Verb = Callable[[Queue, argparse.Namespace], int]


def add_verb(verbs: Any, name: str, purpose: str, function: Verb) -> argparse.ArgumentParser:
    """Add a verb and return its parser, which knows already how the queue is named."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=purpose, description=purpose)
    add_target(parser)
    parser.set_defaults(verb=function)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the verb that the options name."""
    queue = queue_of(options)
    try:
        verb: Verb = options.verb
        return verb(queue, options)
    finally:
        queue.close()
