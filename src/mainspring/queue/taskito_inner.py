"""The private names of a queue that programs written for taskito use."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class TaskitoInner:
    """The `_inner` of a taskito queue, which programs ask to stop."""

    def __init__(self, shutdown: Callable[[], None]) -> None:
        self._shutdown = shutdown
        self._warned = False

    def request_shutdown(self) -> None:
        """Ask the workers to stop; the first call warns that `queue.shutdown()` does that."""
        if not self._warned:
            self._warned = True
            hint = "queue._inner.request_shutdown() is private: call queue.shutdown()"
            warnings.warn(hint, DeprecationWarning, stacklevel=2)
        self._shutdown()
