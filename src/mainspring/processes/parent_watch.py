"""The child's end of the pipe whose other end only the parent holds: does it live, will it stop.

The pipe's end means that the parent has died. A byte in it means that the parent is to stop soon;
nobody reads it, so that all children can see it, those that start later too.
"""

from __future__ import annotations

import select

_fd = -1


def hold(fd: int) -> None:
    """Keep the descriptor, in a child; -1: drop it."""
    global _fd  # noqa: PLW0603  # a process is a child once
    _fd = fd


def stop_asked(seconds: float = 0.0) -> bool:
    """Return whether the parent is to stop soon, or will be told so within `seconds`.

    False in a process that is no child of a pool.
    """
    return _fd >= 0 and bool(_events_of(_fd, select.POLLIN, round(seconds * 1000)))


def wait_for_end(fd: int) -> None:
    """Return when the parent has died."""
    while not _events_of(fd, 0, None) & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
        pass


def _events_of(fd: int, events: int, milliseconds: int | None) -> int:
    poll = select.poll()
    poll.register(fd, events)
    return sum(found for _, found in poll.poll(milliseconds))
