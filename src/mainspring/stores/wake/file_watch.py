"""A report of the kernel's that a file was written to, so that nobody has to look often (inotify).

Armed, it says so once. What it says comes early: a commit writes first and can be seen later. So
it is no wake-up, only a reason to begin to look again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

IN_MODIFY = 0x2
IN_ATTRIB = 0x4
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_ONESHOT = 0x80000000
IN_CLOEXEC = 0o2000000
IN_NONBLOCK = 0o4000
ANYTHING = IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONESHOT

EVENT_BYTES = 4096
"""More than all the events that one arming can give."""


class FileWatch:
    """Watches what is at a path. Where the kernel offers nothing of the kind, `arm` is False."""

    def __init__(self, path: str, join: Callable[[int], object]) -> None:
        self._path = os.fsencode(path)
        self._join = join
        self._library: Any = None
        self.descriptor = -1

    def arm(self) -> bool:
        """Wait for the next write; False if that can't be done (any more)."""
        if self.descriptor < 0 and not self._open():
            return False
        return bool(self._library.inotify_add_watch(self.descriptor, self._path, ANYTHING) >= 0)

    def take(self) -> bool:
        """Return whether it has reported a write since the last time; then arm it again."""
        try:
            return bool(os.read(self.descriptor, EVENT_BYTES))
        except OSError:
            return False

    def close(self) -> None:
        """Watch no more."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _open(self) -> bool:
        import ctypes  # noqa: PLC0415  # a lazy door

        with suppress(OSError, AttributeError):
            self._library = ctypes.CDLL(None)
            self.descriptor = int(self._library.inotify_init1(IN_CLOEXEC | IN_NONBLOCK))
        if self.descriptor < 0:
            return False
        self._join(self.descriptor)
        return True
