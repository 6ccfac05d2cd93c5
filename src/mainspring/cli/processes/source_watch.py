"""Looks whether Python files below a folder have changed, by their times."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PASSED_OVER = frozenset({"__pycache__", "node_modules", "site-packages"})
"""Folders that are not looked into; nor are those whose name begins with a dot."""


class SourceWatch:
    """Calls `changed` with a file's path when a file was added, changed or removed."""

    def __init__(self, folder: Path, changed: Callable[[str], None]) -> None:
        self._folder = folder
        self._changed = changed
        self._known = dict(self._files())

    def look(self) -> None:
        """Look once, and call at most once."""
        found = dict(self._files())
        different = found.items() ^ self._known.items()
        self._known = found
        if different:
            self._changed(min(path for path, _ in different))

    def _files(self) -> Iterator[tuple[str, int]]:
        for folder, inside, names in os.walk(self._folder):
            inside[:] = [
                name for name in inside if name not in PASSED_OVER and not name.startswith(".")
            ]
            for name in names:
                if name.endswith(".py"):
                    path = Path(folder, name)
                    try:
                        yield str(path), path.stat().st_mtime_ns
                    except OSError:  # it has just been removed
                        continue
