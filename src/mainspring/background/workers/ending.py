"""The end of a background worker's life, for those who wait for it: who may, and for how long.

`life` is the supervisor's, whose own loop must not be kept from bringing it about.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.errors import AlreadyRunning

if TYPE_CHECKING:
    from mainspring.background.supervisor.life import Life
    from mainspring.background.workers.session import Session


def wait_for_end(session: Session, wait: float | bool, life: Life) -> bool:  # noqa: FBT001  as `stop`
    """Wait as `stop` says, unless that would keep it from coming; return whether it has come."""
    if wait is False or session.would_wait_for_itself(life.control_loop):
        return session.finished.done()
    if session.member is not None and session.is_stranded():
        life.workers.cancel(session.member)
    with suppress(TimeoutError):
        session.finished.result(None if wait is True else float(wait))
        return True
    session.tell_stuck(wait)
    return False


def wait_for_last_life(session: Session, life: Life) -> None:
    """Wait until another life may begin; raises `AlreadyRunning` where that would never be."""
    if not session.over:
        refuse_to_wait_for_itself(session, life)
    elif session.still_runs():
        raise AlreadyRunning("target of worker", session.name)
    elif session.would_wait_for_itself(life.control_loop):
        return
    session.finished.result()


def refuse_to_wait_for_itself(session: Session, life: Life) -> None:
    """Raise `AlreadyRunning` where to wait for its end would keep that from coming."""
    if not session.over and session.would_wait_for_itself(life.control_loop):
        raise AlreadyRunning("worker", session.name)
