"""What a node tells views of itself, as JSON texts: what it serves, and how it is.

`serves` is told once, when it joins: `tasks` and `queues` (null: any) by name, `version`,
`started_at`. The report goes with each renewal: `slots` by kind of executor (`size`, `running`,
`waiting`, `abandoned`), `in_flight`, `restarts` of services that had any, `draining`, and
`loop_lag`, the seconds for which the loop of the coroutines kept a call waiting (null: there is no
such loop), and `at`, when all this was so.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from msgspec.json import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mainspring.protocols import Executor
    from mainspring.supervision.supervisor.supervised import ServiceStatus


class Load(Protocol):
    """What a node holds: the part of an exchange that its report tells."""

    @property
    def in_flight(self) -> int:
        """How many claims wait, run or are not recorded yet."""
        ...

    @property
    def draining(self) -> bool:
        """Whether it claims no more."""
        ...


def serves_of(tasks: Iterable[str], queues: Sequence[str] | None) -> bytes:
    """Return what a node says when it joins."""
    return encode(
        {
            "tasks": sorted(tasks),
            "queues": None if queues is None else list(queues),
            # Looked up, not imported: that would be an import of the roof.
            "version": sys.modules["mainspring"].__version__,
            "started_at": datetime.now(UTC),
        }
    )


class Reporter:
    """Makes the reports of one node."""

    def __init__(
        self,
        executors: Sequence[Executor],
        load: Load,
        services: Callable[[], Sequence[ServiceStatus]],
    ) -> None:
        self._executors = executors
        self._load = load
        self._services = services

    def report(self) -> bytes:
        """Return how the node is."""
        lags = [lag for executor in self._executors if (lag := executor.lag()) is not None]
        return encode(
            {
                "slots": {executor.kind: _slots(executor) for executor in self._executors},
                "in_flight": self._load.in_flight,
                "restarts": {one.name: one.restarts for one in self._services() if one.restarts},
                "draining": self._load.draining,
                "loop_lag": max(lags, default=None),
                "at": datetime.now(UTC),
            }
        )


def _slots(executor: Executor) -> dict[str, int]:
    return {
        "size": executor.size,
        "running": executor.running(),
        "waiting": executor.waiting(),
        "abandoned": executor.abandoned,
    }
