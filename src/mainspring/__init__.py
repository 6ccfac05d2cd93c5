"""mainspring: background work for Python with no server to set up.

The public names are here, each imported on first use, so that `import mainspring` costs next to
nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.engine.context import current_job
    from mainspring.handle import JobHandle
    from mainspring.model.job import JobState
    from mainspring.model.retry import Exponential
    from mainspring.queue import Queue

__version__ = "0.1.0"

_HOMES = {
    "Exponential": "mainspring.model.retry",
    "JobHandle": "mainspring.handle",
    "JobState": "mainspring.model.job",
    "Queue": "mainspring.queue",
    "current_job": "mainspring.engine.context",
}

__all__ = ["Exponential", "JobHandle", "JobState", "Queue", "current_job"]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
