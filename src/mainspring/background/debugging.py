"""`set_debug`: whether the log tells every detail."""

from __future__ import annotations

import logging

log = logging.getLogger("mainspring")


def set_debug(mode: bool = True) -> None:  # noqa: FBT001, FBT002  the pages' signature
    """Log from DEBUG on, or again from the level that the root logger has."""
    log.setLevel(logging.DEBUG if mode else logging.NOTSET)
