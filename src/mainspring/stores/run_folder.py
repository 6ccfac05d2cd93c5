"""The folder in which nodes of this host keep lock and board, for a store on a server.

It is this user's own. Nodes of another user, of another host, or of a container that does not share
/tmp have theirs elsewhere: of these the lease alone tells.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from mainspring.private_files import make_private_folder

ROOT = Path("/tmp")  # noqa: S108  # ours in it is checked

log = logging.getLogger("mainspring.stores")
_warned: set[str] = set()


def run_folder(store: str) -> Path | None:
    """Return the folder of a store of that name, made if it is missing; None: it can't be had."""
    parent = ROOT / f"mainspring-{os.geteuid()}"
    try:
        with make_private_folder(parent) as folder, folder.make_folder(store):
            return parent / store
    except OSError as error:
        if store not in _warned:
            _warned.add(store)
            log.warning(
                "the death of a worker is seen by its lease only, since %s can't be used (%s)",
                parent,
                error,
            )
        return None
