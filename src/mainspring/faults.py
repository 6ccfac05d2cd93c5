"""Named points on a job's way at which a test can kill this process, or make it raise.

Switched on by the environment, in tests only, which say so with `MAINSPRING_TESTING=1`:
`MAINSPRING_FAULT=after_claim` kills at the first pass, `after_claim:3` at the third,
`after_claim:raise` raises `InjectedFault` at every pass.
"""

from __future__ import annotations

import os

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
    "during_import",
    "after_import",
)
"""Every point there is."""

_testing = os.environ.get("MAINSPRING_TESTING") == "1"
_asked = os.environ.get("MAINSPRING_FAULT", "")
_point, _, _mode = (_asked if _testing else "").partition(":")
_passes = 0

ARMED = bool(_point)
"""True if a point is named; asked where each job passes, since a call takes three times as long."""


class InjectedFault(Exception):
    """The error that a fault point raises when a test has asked for it."""


def ignored_fault() -> str:
    """Return what `MAINSPRING_FAULT` asks for in vain, since this is no test; only once."""
    global _asked  # it is told once a process
    ignored, _asked = ("" if _testing else _asked), ""
    return ignored


def fault(point: str) -> None:
    """Pass a named point; does nothing unless the environment names it."""
    if _point and point == _point:
        _fire(point)


def _fire(point: str) -> None:
    global _passes  # noqa: PLW0603  # one process, one fault
    _passes += 1
    if _mode == "raise":
        raise InjectedFault(point)
    if _passes >= int(_mode or 1):
        from signal import SIGKILL  # noqa: PLC0415  # a lazy door: once in a life at most

        os.kill(os.getpid(), SIGKILL)
