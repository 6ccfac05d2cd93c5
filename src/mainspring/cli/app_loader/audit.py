"""Changes from the command line, as the audit log has them: by the user of the system."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.queue.audit import note_change

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mainspring.queue import Queue

VIA = "command line"
NO_DETAILS: Mapping[str, object] = {}


def note(
    queue: Queue,
    action: str,
    targets: Sequence[str],
    details: Mapping[str, object] = NO_DETAILS,
    *,
    count: int | None = None,
) -> None:
    """Write down what a command has changed; of nothing it writes nothing.

    Details that are None are left out. `count` is the number of targets, unless given.
    """
    changed = len(targets) if count is None else count
    if changed:
        note_change(
            queue.store,
            actor=who(),
            via=VIA,
            action=action,
            targets=targets,
            count=changed,
            details={name: str(one) for name, one in details.items() if one is not None},
        )


def changed_in(outcome: Mapping[str, object]) -> list[str]:
    """Return the names of what a command has changed."""
    return [name for name, done in outcome.items() if done]


def who() -> str:
    """Return the user that the system runs this as, and its host; behind sudo also who asked."""
    name = "user"
    with suppress(ImportError, KeyError, AttributeError):
        import pwd  # noqa: PLC0415  # not everywhere

        # By its number: variables of the environment say whatever they were set to.
        name = f"uid {os.getuid()}"
        name = pwd.getpwuid(os.getuid()).pw_name
    asked = os.environ.get("SUDO_USER")
    behind = f" (sudo by {asked})" if asked else ""
    return f"{name}@{socket.gethostname()}{behind}"
