"""A pipe that tells processes of ours that the one which started them has died, however it died.

The parent keeps one end and never writes; a child reads the other, in a thread, and reads its end.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "MAINSPRING_LIFELINE"
"""Names the descriptor that a child reads."""


class Lifeline:
    """The parent's side."""

    def __init__(self) -> None:
        self.descriptor, self._held = os.pipe()

    def environment(self) -> dict[str, str]:
        """Return what tells a child of its end; pass it `descriptor`, too."""
        return {VARIABLE: str(self.descriptor)}

    def close(self) -> None:
        """Let go of both ends."""
        os.close(self.descriptor)
        os.close(self._held)


def hold_on(cut: Callable[[], None]) -> None:
    """Call `cut` when the parent has died, if this process was given a lifeline."""
    # Both stay as they are, for a worker that starts its own process anew.
    descriptor = os.environ.get(VARIABLE)
    if descriptor is not None:
        threading.Thread(
            target=_wait, args=(int(descriptor), cut), name="mainspring-lifeline", daemon=True
        ).start()


def _wait(descriptor: int, cut: Callable[[], None]) -> None:
    try:
        while os.read(descriptor, 1):
            pass
    except OSError:
        return  # the variable came to a process that was not given the line
    cut()
