"""`--app module:attribute`: the Queue that a command works with."""

from __future__ import annotations

from mainspring.cli.app_loader.address import Address
from mainspring.queue import Queue

HELP = "where the Queue is: module:attribute, seen from this folder"


def load_app(app: str) -> Queue:
    """Return the Queue that `module:attribute` names, seen from the current directory.

    Raises AppNotFound, with the reason.
    """
    return Address(app, Queue, noun="queue", example="myapp.tasks:queue").find()
