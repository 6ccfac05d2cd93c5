"""The hooks of a background worker: which are the user's, and calling those of a stop."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("mainspring.supervision")

OF_THE_END = ("before_stop", "send_stop_events", "after_stop")


def is_own(worker: object, hook: str, plain: type) -> bool:
    """Whether a worker's hook is another than the one of `plain`, which does nothing."""
    return getattr(getattr(worker, hook), "__func__", None) is not getattr(plain, hook)


def has_own_end(worker: object, plain: type) -> bool:
    """Whether a hook of a worker's end is the user's."""
    return any(is_own(worker, hook, plain) for hook in OF_THE_END)


def guard(hook: Callable[[], object], name: str) -> None:
    """Call a hook of a stop, which goes on whatever the hook raises."""
    try:
        hook()
    except Exception:
        log.exception("hook %s of worker %r raised", getattr(hook, "__name__", hook), name)
