"""A node's words for views, as JSON texts: the tasks that it serves, and its state.

`serves` is told when it joins: `tasks`, `queues` (null: any) and `schedules` by name, `kinds`
(the tasks of each kind of executor, if there are several), `version`,
`started_at`, `host` (what `host.py` says). The report goes with each renewal: `slots` by kind of
executor (`size`, `running`, `waiting`, `abandoned`), `in_flight`, `restarts` of services that had
any, `draining`, `lease` and `heartbeat` in seconds, `loop_lag`, the seconds for which the loop of
the coroutines kept a call waiting (null: there is no such loop), `at`, when all this was so,
`metrics`, if it serves them, and, when it serves other tasks or schedules by now, these, under the
names that `serves` has. `workers` are
the background workers of the same process, if it has any: `name`, `kind`, `state`, `runs`,
`errors`, `error`, `failing`, `hanging`, `last_run`. A node that holds locks only reports these:
`locks` by name with the moment since which each is held, and `at`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from msgspec.json import encode

from mainspring.clock import utc_now
from mainspring.engine.node.host import this_host
from mainspring.supervision.announced import announced

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mainspring.model.capabilities import Capabilities
    from mainspring.protocols import Executor
    from mainspring.supervision.supervisor.member import ServiceStatus

MOST_WORKERS = 100
"""Background workers that a report tells of."""

LONGEST_ERROR = 300
"""Letters of a worker's last error."""


class Load(Protocol):
    """The part of an exchange that a node's report tells."""

    @property
    def in_flight(self) -> int:
        """The number of claims that wait, run or are not recorded yet."""
        ...

    @property
    def draining(self) -> bool:
        """True if it claims no more."""
        ...


def serves_of(serves: Capabilities) -> bytes:
    """Return what a node says when it joins."""
    return encode(
        {
            **_names(serves),
            # Looked up, not imported: that would be an import of the roof.
            "version": sys.modules["mainspring"].__version__,
            # As text: in a test with a frozen clock, no encoder knows the class of it.
            "started_at": utc_now().isoformat(),
            "host": this_host(),
        }
    )


class Reporter:
    """Makes the reports of one node; `settings` stand in each as they are."""

    def __init__(
        self,
        executors: Sequence[Executor],
        load: Load,
        services: Callable[[], Sequence[ServiceStatus]],
        settings: Mapping[str, object],
    ) -> None:
        self._executors = executors
        self._load = load
        self._services = services
        self._settings = settings
        self.serves: Capabilities | None = None
        """The capabilities of the node, if they have changed since it joined."""

    def report(self) -> bytes:
        """Return how the node is."""
        lags = [lag for executor in self._executors if (lag := executor.lag()) is not None]
        return encode(
            {
                "slots": {executor.kind: _slots(executor) for executor in self._executors},
                "in_flight": self._load.in_flight,
                "restarts": {one.name: one.restarts for one in self._services() if one.restarts},
                "draining": self._load.draining,
                **self._settings,
                "loop_lag": max(lags, default=None),
                "at": utc_now(),
                **_background_workers(),
                **({} if self.serves is None else _names(self.serves)),
            }
        )


def _names(serves: Capabilities) -> dict[str, object]:
    return {
        "tasks": None if serves.tasks is None else sorted(serves.tasks),
        "queues": None if serves.queues is None else sorted(serves.queues),
        "schedules": sorted(serves.schedules),
        **(
            {"kinds": {kind: sorted(some) for kind, some in serves.kinds.items()}}
            if serves.kinds
            else {}
        ),
    }


def _background_workers() -> dict[str, object]:
    told = [
        {
            "name": one.name,
            "kind": one.kind,
            "state": one.state,
            "runs": one.runs,
            "errors": one.errors,
            "error": None if one.error is None else one.error[:LONGEST_ERROR],
            "failing": one.failing,
            "hanging": one.hanging,
            "last_run": one.last_run,
        }
        for one in announced()[:MOST_WORKERS]
    ]
    return {"workers": told} if told else {}


def _slots(executor: Executor) -> dict[str, int]:
    load = executor.load()
    return {
        "size": executor.size,
        "running": load.running,
        "waiting": load.waiting,
        "abandoned": load.abandoned,
    }
