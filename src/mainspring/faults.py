"""Named points on a job's way at which a test can kill this process, or make it raise.

Switched on by the environment: `MAINSPRING_FAULT=after_claim` kills at the first pass,
`after_claim:3` at the third, `after_claim:raise` raises `InjectedFault` at every pass.
"""

from __future__ import annotations

import os
import signal

POINTS = (
    "after_claim",
    "before_body",
    "after_body",
    "before_flush",
    "after_flush",
    "during_enqueue",
    "during_purge",
    "during_migration",
    "during_tick",
)
"""Every point there is."""

_point, _, _mode = os.environ.get("MAINSPRING_FAULT", "").partition(":")
_passes = 0


class InjectedFault(Exception):
    """What a fault point raises when it was asked to."""


def fault(point: str) -> None:
    """Pass a named point; does nothing unless the environment names it."""
    if _point and point == _point:
        _strike(point)


def _strike(point: str) -> None:
    global _passes  # noqa: PLW0603  # one process, one fault
    _passes += 1
    if _mode == "raise":
        raise InjectedFault(point)
    if _passes >= int(_mode or 1):
        os.kill(os.getpid(), signal.SIGKILL)
