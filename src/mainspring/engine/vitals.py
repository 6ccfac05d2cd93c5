"""Vitals of a consumer, for probes and metrics. Asks no store, and is asked from any thread."""

from __future__ import annotations

from contextlib import suppress
from time import sleep
from typing import TYPE_CHECKING, Protocol

from mainspring.clock import monotonic
from mainspring.model.condition import Condition, SlotCount

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mainspring.engine.node.node import Node
    from mainspring.engine.node.report import Load
    from mainspring.protocols import Executor
    from mainspring.supervision.supervisor.supervisor import Supervisor

ANSWER_SECONDS = 2.0
"""Seconds within which the loop of the services must answer."""

STUCK_SECONDS = 60.0
"""Seconds for which a loop may not turn until a restart is the only cure: no store is waited for so
long, and no coroutine may block so long.
"""

STUCK_UPKEEP_SECONDS = 900.0
"""The same of loops that may have much to do in one turn, as to purge a million jobs."""

LOOK_SECONDS = 0.01
UPKEEP = frozenset({"rescue", "expire", "purge", "unclaimable", "stacks", "orphans"})


class EngineLoop(Protocol):
    """A thread that turns: it looks whether there is something to do, does it, and sleeps."""

    def silence(self) -> float:
        """Return the seconds since it last looked."""
        ...

    def prod(self) -> None:
        """Let it look."""
        ...


class Vitals:
    """The state of a consumer: `supervisor` runs its services, `load` is what it holds.

    `loops` are the threads of its services, by name.
    """

    def __init__(  # noqa: PLR0913  # the parts of a consumer
        self,
        supervisor: Supervisor,
        node: Node,
        load: Load,
        executors: Sequence[Executor],
        *,
        loops: Mapping[str, EngineLoop],
        heartbeat: float,
    ) -> None:
        self._supervisor = supervisor
        self._node = node
        self._load = load
        self._executors = executors
        self._loops = loops
        self._heartbeat = heartbeat

    @property
    def node_key(self) -> int:
        """The node's key in the store; 0 before it has joined."""
        return self._node.key

    def stuck(self) -> list[str]:
        """Return a sentence for each loop that does not turn."""
        found = []
        if not self._supervisor.answers(ANSWER_SECONDS):
            found.append(f"the worker's own loop has not answered for {ANSWER_SECONDS:g} s")
        lag = self._lag()
        if lag is not None and lag > STUCK_SECONDS:
            found.append(f"the loop of the coroutines has been blocked for {lag:.0f} s")
        found += [
            f"the loop of the worker's {name} has not turned for {silence:.0f} s"
            for name, silence in self._silent_loops()
        ]
        return found

    def _silent_loops(self) -> list[tuple[str, float]]:
        """Return the loops that have not looked for too long, though they were woken to do so."""
        deadline = monotonic() + ANSWER_SECONDS
        for loop in self._loops.values():
            with suppress(OSError):  # what wakes it has just been closed
                loop.prod()
        while True:
            silences = [(name, loop.silence()) for name, loop in self._loops.items()]
            silent = [(name, silence) for name, silence in silences if silence > _longest(name)]
            if not silent or monotonic() > deadline:
                return silent
            sleep(LOOK_SECONDS)

    def unready(self) -> list[str]:
        """Return a sentence for each reason for which it takes no jobs."""
        if self._load.draining:
            return ["it drains: it was asked to stop, and takes no more jobs"]
        if not self._node.key:
            return ["it has not joined the store yet"]
        silence = self._node.silence
        if self._node.unanswered or silence > 2 * self._heartbeat:
            return [f"the store has not answered for {silence:.1f} s"]
        return []

    def condition(self) -> Condition:
        """Return how it is in numbers."""
        restarts = {one.name: one.restarts for one in self._supervisor.services()}
        return Condition(
            slots=tuple(_slots_of(executor) for executor in self._executors),
            in_flight=self._load.in_flight,
            draining=self._load.draining,
            store_answers=bool(self._node.key) and not self._node.unanswered,
            loop_lag=self._lag(),
            restarts=restarts,
        )

    def _lag(self) -> float | None:
        lags = [lag for executor in self._executors if (lag := executor.lag()) is not None]
        return max(lags, default=None)


def _longest(name: str) -> float:
    return STUCK_UPKEEP_SECONDS if name in UPKEEP else STUCK_SECONDS


def _slots_of(executor: Executor) -> SlotCount:
    load = executor.load()
    return SlotCount(executor.kind, executor.size, load.running, load.abandoned)
